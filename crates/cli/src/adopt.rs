//! `valetkey adopt`: lets valetkey run the servers of an MCP client's file, and undoes that.

mod accounts;
mod aws_use;
mod changes;
mod client_file;
mod documents;
mod entry;
mod masked;
mod plan;
mod references;
mod revert;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use similar::TextDiff;

use crate::arguments::AdoptArgs;
use crate::error::CliError;
use crate::output::print_lines;
use crate::serve::config_error;
use crate::settings::{DEFAULT_FILE, Diagnostic};
use changes::Changes;
use client_file::ClientFile;
use documents::GatewayCommand;
use masked::mask_secrets;
use plan::{Access, Plan};

const SERVERS_FILE: &str = "servers.json";
const BACKUP_SUFFIX: &str = ".valetkey-backup";

pub(crate) fn run(command: &AdoptArgs) -> Result<ExitCode, CliError> {
    let file = ClientFile::read(&command.file).map_err(|error| config_error(&[error]))?;
    if command.revert {
        return revert::run(&file, command.dry_run);
    }
    let adoption = Adoption::new(&file)?;
    if adoption.plan.servers.is_empty() {
        print_lines(["nothing to adopt".to_owned()].into_iter().chain(adoption.left_lines()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let changes = adoption.changes(&file).map_err(|error| config_error(&[error]))?;
    print_diff(&file.path, &mask_secrets(&file.text), &mask_secrets(&adoption.client))?;
    print_diff(&adoption.paths.servers, "", &mask_secrets(&adoption.servers))?;
    print_diff(&adoption.paths.settings, "", &adoption.settings)?;
    print_lines(adoption.server_lines().chain(adoption.left_lines()))?;
    if command.dry_run {
        print_lines(["nothing was changed, because of `--dry-run`"])?;
        return Ok(ExitCode::SUCCESS);
    }
    changes.apply().map_err(CliError::failed)?;
    print_lines(adoption.next_lines(&file))?;
    Ok(ExitCode::SUCCESS)
}

/// The paths of the files beside a client's file.
#[derive(Debug)]
struct AdoptedPaths {
    servers: PathBuf,
    settings: PathBuf,
    backup: PathBuf,
}

impl AdoptedPaths {
    fn beside(client: &Path) -> Self {
        let mut backup = client.as_os_str().to_owned();
        backup.push(BACKUP_SUFFIX);
        Self {
            servers: client.with_file_name(SERVERS_FILE),
            settings: client.with_file_name(DEFAULT_FILE),
            backup: backup.into(),
        }
    }
}

/// What adopting makes of a client's file.
#[derive(Debug)]
struct Adoption {
    plan: Plan,
    paths: AdoptedPaths,
    client: String,
    servers: String,
    settings: String,
}

impl Adoption {
    fn new(file: &ClientFile) -> Result<Self, CliError> {
        let to_error = |error| config_error(&[error]);
        let mut plan = Plan::new(file).map_err(|errors| config_error(&errors))?;
        let paths = AdoptedPaths::beside(&file.path);
        let program = std::env::current_exe()
            .map_err(|error| CliError::failed(format!("this program is not found: {error}")))?;
        let servers = documents::servers_text(file, &mut plan).map_err(to_error)?;
        let command =
            GatewayCommand { program: &program, servers: &paths.servers, settings: &paths.settings };
        let client = documents::client_text(file, &plan, &command).map_err(to_error)?;
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let settings = documents::settings_text(&plan, &name);
        Ok(Self { plan, paths, client, servers, settings })
    }

    /// Returns the changes of files, if nothing is in their way.
    fn changes(&self, file: &ClientFile) -> Result<Changes, Diagnostic> {
        if let Some(name) = file.gateway() {
            let what = "is valetkey already; move the other servers into the file of its `--mcp-config`, or run \
                        `valetkey adopt --revert` on this file, and adopt again";
            return Err(file.diagnostic(&name, None, what));
        }
        let AdoptedPaths { servers, settings, backup } = &self.paths;
        if let Some(path) =
            [servers, settings, backup].into_iter().find(|path| path.symlink_metadata().is_ok())
        {
            let what = "exists, and adopt does not replace it; rename it, and adopt again";
            return Err(Diagnostic::in_file(path, what));
        }
        let added = [(backup, &file.text), (settings, &self.settings), (servers, &self.servers)];
        Ok(Changes {
            client: file.path.clone(),
            before: file.text.clone(),
            after: self.client.clone(),
            added: added.map(|(path, text)| (path.clone(), text.clone())).into(),
        })
    }

    /// Describes the credentials of each server that valetkey runs.
    fn server_lines(&self) -> impl Iterator<Item = String> {
        self.plan.servers.iter().map(|server| {
            let name = &server.name;
            match &server.access {
                Access::Proxy(alias) => format!("server `{name}`: account `{alias}`, without a key of its own"),
                Access::Endpoint(alias) => format!("server `{name}`: account `{alias}`"),
                Access::Environment(alias) => format!("server `{name}`: account `{alias}`, as variables of its container"),
                Access::None => format!("server `{name}`: no AWS credentials"),
                Access::Unknown => format!(
                    "server `{name}`: no AWS credentials, because valetkey does not know whether it uses AWS; \
                     valetkey.toml says how to give it an account"
                ),
            }
        })
    }

    fn left_lines(&self) -> impl Iterator<Item = String> {
        self.plan.left.iter().map(|(name, reason)| format!("server `{name}` stays with the client: {reason}"))
    }

    /// Describes what was changed, and the next step.
    fn next_lines(&self, file: &ClientFile) -> [String; 3] {
        let AdoptedPaths { servers, settings, backup } = &self.paths;
        let client = file.named.display();
        [
            format!("changed {client}; its earlier version is {}", backup.display()),
            format!("undo: valetkey adopt --revert {client}"),
            format!(
                "next: valetkey check --config {} --mcp-config {}",
                settings.display(),
                servers.display()
            ),
        ]
    }
}

/// Prints the difference between two versions of a file, whose secrets are masked. A new file has no earlier version.
fn print_diff(path: &Path, before: &str, after: &str) -> Result<(), CliError> {
    let name = path.display().to_string();
    let old = if before.is_empty() { "/dev/null" } else { &name };
    let diff = TextDiff::from_lines(before, after);
    let text = diff.unified_diff().header(old, &name).to_string();
    print_lines(text.lines().map(|line| line.trim_end_matches('\r')))
}
