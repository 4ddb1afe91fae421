//! The arguments of the command line.

mod access;
mod examples;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use valetkey::mcp::child::run_launcher;
use valetkey::mcp::signing::S3Object;
use valetkey::{AccountName, Error, Expiry, Principal, Region, SessionId};

use crate::error::CliError;
use crate::ops::OpsAddress;
pub(crate) use access::{AccessArgs, AccessCommand, AccessDecisionArgs, AccessListArgs, AccessPageArgs};
use examples::{
    ACCESS_EXAMPLES, ADOPT_EXAMPLES, CHECK_EXAMPLES, COMPLETIONS_EXAMPLES, EXEC_EXAMPLES, PRESIGN_EXAMPLES,
    REPORT_EXAMPLES, SERVE_EXAMPLES,
};

/// The heading of the options that every command has.
const GLOBAL: &str = "Global options";
/// The heading of the options that select the settings, and what is used of them.
const CONFIGURATION: &str = "Configuration";
/// The heading of the options that select the form of what is printed.
const OUTPUT: &str = "Output";

const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 the command failed; 2 the command line is wrong; 78 the configuration is wrong. `exec` returns \
the code of its program, 128 plus the number of the signal that ended it, or 127 if it was not found.";

/// AWS credentials for one agent session: isolated, in memory, rotating, and cleared when the session ends.
#[derive(Debug, Parser)]
#[command(
    name = "valetkey",
    version,
    propagate_version = true,
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = EXIT_CODES
)]
pub(crate) struct Cli {
    /// When to use colour on standard error and in tables. `NO_COLOR` is honoured.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, help_heading = GLOBAL)]
    color: ColorChoice,
    /// What to log to standard error: error, warn, info, debug, trace, or `target=level` directives.
    #[arg(
        long,
        global = true,
        env = "VALETKEY_LOG",
        hide_env_values = true,
        default_value = "warn",
        help_heading = GLOBAL
    )]
    pub(crate) log: String,
    /// Print help; `-h` prints a summary.
    #[arg(short, long, global = true, action = ArgAction::Help, help_heading = GLOBAL)]
    help: Option<bool>,
    /// Print the version.
    #[arg(short = 'V', long, global = true, action = ArgAction::Version, help_heading = GLOBAL)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Demonstrate the main features without other programs: two concurrent users, isolation, rotation, refusal,
    /// clearing.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Serve the credential tools and all tools of the configured servers as MCP, on standard input and output or over
    /// HTTP.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Run a program as a child process of a session.
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(ExecArgs),
    /// Print one account's credentials as JSON, for the `credential_process` of an AWS profile.
    CredentialProcess(CredentialProcessArgs),
    /// Print a URL that permits to download or upload one object of S3, for a limited time.
    #[command(after_help = PRESIGN_EXAMPLES)]
    Presign(PresignArgs),
    /// Print an IAM policy that revokes credentials already issued but not yet expired.
    RevocationPolicy(RevocationPolicyArgs),
    /// Let valetkey run the servers of an MCP client's file: write `servers.json` and `valetkey.toml` beside it, and
    /// register valetkey in their place.
    #[command(after_help = ADOPT_EXAMPLES)]
    Adopt(AdoptArgs),
    /// List the accounts of the settings, without a request to AWS.
    List(ListArgs),
    /// Read the configuration files and report every error in them.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Report what the sessions of an audit file were issued, what they called, what was refused, and when they ended.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Show the running gateways of this user: their sessions, accounts, expiry and server processes.
    Status(StatusArgs),
    /// Decide about the requests for access of the running gateways of this user (`request_aws_access`).
    #[command(after_help = ACCESS_EXAMPLES)]
    Access(AccessArgs),
    /// Allow a settings file that is found to be used without `--config`, until the file changes.
    Trust(TrustArgs),
    /// Print the completions of this command line for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Write the manual pages of all commands to a folder.
    Man(ManArgs),
    /// The demo's MCP server.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    DemoServer {
        /// Use one AWS client for all calls.
        #[arg(long)]
        keep_client: bool,
    },
    /// The launcher of child processes.
    #[command(hide = true)]
    Launch(LaunchArgs),
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print the results as JSON.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Use another AWS endpoint (moto, MiniStack …) instead of the local one. It must accept generated keys.
    #[arg(long, value_name = "URL")]
    pub(crate) aws_endpoint: Option<String>,
}

/// The options that name the configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The file with the MCP servers.
    #[arg(long, value_name = "FILE", help_heading = CONFIGURATION)]
    pub(crate) mcp_config: Option<PathBuf>,
    /// The file with accounts, servers' credentials, resolver and audit (default: `$VALETKEY_CONFIG`, or a trusted
    /// `valetkey.toml` in this folder, above it in the repository, or in `~/.config/valetkey`).
    #[arg(long, value_name = "FILE", help_heading = CONFIGURATION)]
    pub(crate) config: Option<PathBuf>,
    /// The principal that the session acts for, in place of the `principal` of the settings.
    #[arg(long, value_name = "NAME", help_heading = CONFIGURATION)]
    pub(crate) principal: Option<Principal>,
}

/// The options that select an account and the principal.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// The file with the accounts (default: `$VALETKEY_CONFIG`, or a trusted `valetkey.toml` in this folder, above it in
    /// the repository, or in `~/.config/valetkey`).
    #[arg(long, value_name = "FILE", help_heading = CONFIGURATION)]
    pub(crate) config: Option<PathBuf>,
    /// The account (default: the `default_account` of the settings, or the only account).
    #[arg(long, value_name = "ALIAS", help_heading = CONFIGURATION)]
    pub(crate) account: Option<AccountName>,
    /// The lifetime of the credentials to request, such as `3600`, `90m` or `8h`, in place of `duration_seconds`.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = CONFIGURATION)]
    pub(crate) duration: Option<Duration>,
    /// The principal that the session acts for, in place of the `principal` of the settings.
    #[arg(long, value_name = "NAME", help_heading = CONFIGURATION)]
    pub(crate) principal: Option<Principal>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config_args: ConfigArgs,
    /// Serve many principals over HTTP at this address, at the path `/mcp`, instead of one session on standard input and
    /// output. Other machines reach the gateway only if it encrypts and authenticates.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["principal", "scope"])]
    pub(crate) http: Option<SocketAddr>,
    /// Serve health, readiness, metrics and a status page at this address, or at the absolute path of a Unix socket, in
    /// place of the `listen` of `[ops]`.
    #[arg(long, value_name = "ADDR")]
    pub(crate) ops: Option<OpsAddress>,
    /// Serve the session narrowed to a `[scopes.NAME]` of the settings, so that the client never has its full authority.
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) config_args: ConfigArgs,
    /// Also fetch the credentials of each account and report which AWS identity they belong to.
    #[arg(long)]
    pub(crate) live: bool,
    /// Print the errors, the warnings and the results as JSON on standard output.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, such as `~/.local/share/man/man1`. It must exist.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The file with the accounts (default: `$VALETKEY_CONFIG`, or `valetkey.toml` in this folder, above it in the
    /// repository, or in `~/.config/valetkey`).
    #[arg(long, value_name = "FILE", help_heading = CONFIGURATION)]
    pub(crate) config: Option<PathBuf>,
    /// The principal whose accounts to list, in place of the `principal` of the settings.
    #[arg(long, value_name = "NAME", help_heading = CONFIGURATION)]
    pub(crate) principal: Option<Principal>,
    /// Print the accounts as JSON.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The audit file, or `-` for standard input (default: the `[audit]` file of the settings).
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub(crate) file: Option<PathBuf>,
    /// Report only the session whose id begins with this text, and the sessions that were narrowed from it.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// The settings file that names the audit file (default: `$VALETKEY_CONFIG`, or `valetkey.toml` in this folder, above
    /// it in the repository, or in `~/.config/valetkey`).
    #[arg(long, value_name = "FILE", help_heading = CONFIGURATION)]
    pub(crate) config: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Print the report as Markdown.
    #[arg(long, conflicts_with = "json", help_heading = OUTPUT)]
    pub(crate) markdown: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show only the gateway with this Unix socket (default: all gateways of this user).
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// Show the status again every two seconds, until interrupted.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print the status as JSON; with `--watch`, one line each time.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// The client's file: `.mcp.json` of Claude Code, `mcp.json` of VS Code or Cursor, `mcp_config.json` of Windsurf, or
    /// another file with servers in the same form.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Display the changes without making them.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Restore the client's file, and remove the files that were written beside it.
    #[arg(long)]
    pub(crate) revert: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The settings file (default: the one that is found from this folder).
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Remove an earlier decision to trust the file.
    #[arg(long)]
    pub(crate) revoke: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CredentialProcessArgs {
    #[command(flatten)]
    pub(crate) account_args: AccountArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PresignArgs {
    /// The object.
    #[arg(value_name = "s3://BUCKET/KEY")]
    pub(crate) object: S3Object,
    /// How long the URL is valid, such as `900`, `15m` or `8h`; at most seven days, and not longer than the credentials.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "15m")]
    pub(crate) expires: Duration,
    /// The request that the URL permits.
    #[arg(long, value_enum, default_value_t = PresignMethod::Get)]
    pub(crate) method: PresignMethod,
    /// The region of the bucket (default: that of the account).
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    #[command(flatten)]
    pub(crate) account_args: AccountArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PresignMethod {
    /// Download the object.
    Get,
    /// Upload the object.
    Put,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true)))]
pub(crate) struct RevocationPolicyArgs {
    /// Revoke credentials issued to this session, by the session id in the log or the audit log. The session's role
    /// sessions carry the id unless `attribution` is `none` or `session_name` contains no `{session}`.
    #[arg(long, value_name = "ID", group = "whose")]
    pub(crate) session: Option<SessionId>,
    /// Revoke the credentials of every session of the role that has this name.
    #[arg(long, value_name = "NAME", group = "whose")]
    pub(crate) session_name: Option<String>,
    /// Revoke the credentials of every session of the role.
    #[arg(long, group = "whose")]
    pub(crate) all: bool,
    /// Only revoke credentials issued before this time, such as `2026-11-21T12:00:00Z` (default: now).
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub(crate) issued_before: Option<Expiry>,
}

/// Parses a number of seconds, or a number with the unit `s`, `m` or `h`.
fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let seconds = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let number: Option<u64> = number.parse().ok();
    let duration = number.and_then(|number| number.checked_mul(seconds)).filter(|seconds| *seconds > 0);
    duration
        .map(Duration::from_secs)
        .ok_or("write a number of seconds, or one with a unit, such as `90m` or `8h`")
}

fn parse_instant(text: &str) -> Result<Expiry, Error> {
    Expiry::parse("issued_before", text)
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) account_args: AccountArgs,
    /// How the program gets the credentials.
    #[arg(long, value_enum, default_value_t = ExecDelivery::Endpoint)]
    pub(crate) delivery: ExecDelivery,
    /// Pass an environment variable to the program: `NAME` with its current value, or `NAME=VALUE`.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = parse_env_option)]
    pub(crate) env: Vec<String>,
    /// Pass on the whole environment, except for variables that could give the program other AWS credentials.
    #[arg(long)]
    pub(crate) inherit: bool,
    /// The region of the program, in `AWS_REGION` (default: that of the account).
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// The program and its arguments (default: your shell, with `VALETKEY_SESSION` in its environment).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub(crate) program: Vec<OsString>,
}

/// Rejects a variable without a name. The message omits the value, which may be secret.
fn parse_env_option(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.starts_with('=') {
        Err("a variable needs a name")
    } else {
        Ok(text.to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecDelivery {
    /// The program reads them from a loopback endpoint and follows rotation.
    Endpoint,
    /// The program gets them in its environment, as they are when it starts.
    Env,
    /// The program gets none: it sends its AWS requests through a loopback proxy, which signs them.
    Proxy,
}

#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    parent: u32,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

impl LaunchArgs {
    /// Runs the program as a child with a guardian, or replaces this process with it.
    pub(crate) fn run_launcher(&self) -> ExitCode {
        let Some((program, args)) = self.program.split_first() else { return ExitCode::from(2) };
        run_launcher(self.parent, program, args).unwrap_or_else(|error| {
            let name = program.to_string_lossy();
            CliError::failed(format!("{name} could not be started: {error}")).print(false);
            // The exit code of a shell for a command that is not found.
            ExitCode::from(127)
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

impl Cli {
    /// Whether to use colour on this stream.
    pub(crate) fn use_color(&self, stream: &impl IsTerminal) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && stream.is_terminal()
            }
        }
    }
}
