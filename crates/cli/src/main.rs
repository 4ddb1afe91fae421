//! `valetkey`: the composition root. It reads arguments, files and the environment and passes them to the library.

mod access;
mod adopt;
mod arguments;
mod build;
mod check;
mod command_docs;
mod credential_process;
#[cfg(feature = "demo")]
mod demo;
mod error;
mod exec;
mod files;
mod list;
mod logs;
mod nested;
mod open_session;
mod ops;
mod output;
mod outstanding_report;
mod presign;
mod process_memory;
mod progress;
mod report;
mod revocation_policy;
mod serve;
mod settings;
mod status;
mod table;
mod terminal;
mod trust;
mod usage;

use std::process::ExitCode;

use mimalloc::MiMalloc;
use valetkey::mcp::child::close_descriptors_on_exec;

use arguments::{Cli, Command};
use error::CliError;

/// The memory of a gateway stays flat with it. With that of glibc it grows by fragmentation while thousands of sessions change
/// their credentials.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments = match usage::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    // Runs before the process has a secret. A guardian has the environment of its program, which includes keys in the
    // `env` delivery.
    let protected = process_memory::protect_process_memory();
    // Runs before any thread starts, because this process becomes another program or its guardian.
    if let Command::Launch(launch) = &arguments.command {
        return launch.run_launcher();
    }
    if let Command::Serve(_) = &arguments.command {
        close_descriptors_on_exec();
    }
    let color = arguments.use_color(&std::io::stderr());
    logs::init(&arguments.log, color);
    if let Err(error) = protected {
        tracing::warn!(%error, "other processes of this user can read the memory of valetkey");
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return CliError::failed(format!("no runtime: {error}")).print(color),
    };
    let outcome = runtime.block_on(run(arguments));
    // A read of standard input may still block a thread; shutdown does not wait for it.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| error.print(color))
}

async fn run(arguments: Cli) -> Result<ExitCode, CliError> {
    #[cfg(feature = "demo")]
    let color = arguments.use_color(&std::io::stdout());
    match arguments.command {
        #[cfg(feature = "demo")]
        Command::Demo(command) => demo::run(&command, color).await,
        Command::Serve(command) => serve::run(command).await,
        Command::Exec(command) => exec::run(command).await,
        Command::CredentialProcess(command) => credential_process::run(command).await,
        Command::Presign(command) => presign::run(command).await,
        Command::RevocationPolicy(command) => revocation_policy::run(&command),
        Command::Adopt(command) => adopt::run(&command),
        Command::List(command) => list::run(&command).await,
        Command::Check(command) => check::run(&command).await,
        Command::Report(command) => report::run(&command).await,
        Command::Status(command) => status::run(&command).await,
        Command::Access(command) => access::run(&command.command).await,
        Command::Trust(command) => trust::run(&command),
        Command::Completions(command) => command_docs::print_completions(&command),
        Command::Man(command) => command_docs::write_pages(&command),
        #[cfg(feature = "demo")]
        Command::DemoServer { keep_client } => demo::serve_child(keep_client).await,
        Command::Launch(launch) => Ok(launch.run_launcher()),
    }
}
