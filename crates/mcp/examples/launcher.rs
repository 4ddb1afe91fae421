//! A host for tests that kill it. It starts a wrapper of `sleep` through itself as the launcher, and prints the
//! wrapper's pid.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use valetkey_mcp::child::{
    ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, Launcher, Stdio, run_launcher,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode> {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    match args.as_slice() {
        [role, parent, program, args @ ..] if role == "launch" => {
            let parent = parent.to_str().and_then(|parent| parent.parse().ok()).ok_or("no parent")?;
            Ok(run_launcher(parent, program, args)?)
        }
        _ => tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run_host()),
    }
}

/// Starts the child on a worker thread, as a server's supervisor does, and runs until it is killed.
async fn run_host() -> Result<ExitCode> {
    let child = tokio::spawn(async { start_child() }).await??;
    writeln!(std::io::stdout(), "{}", child.pid())?;
    std::future::pending().await
}

fn start_child() -> Result<ChildProcess> {
    let command = ChildCommand::new("sh")
        .args(["-c", "sleep 600; true"])
        .launcher(Launcher::new(env::current_exe()?, ["launch"]));
    let environment = ChildEnvironment::new(&HostEnvironment::from_process(), []);
    Ok(ChildProcess::spawn(command, environment, Stdio::Piped)?)
}
