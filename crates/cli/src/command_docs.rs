//! `valetkey completions` and `valetkey man`: what shells and manual pages say about the command line.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::arguments::{Cli, CompletionsArgs, ManArgs};
use crate::error::CliError;
use crate::output::write_stdout;

/// Prints the completions for a shell.
pub(crate) fn print_completions(command: &CompletionsArgs) -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "valetkey", &mut text);
    write_stdout(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a manual page for the program and one for each command.
pub(crate) fn write_pages(command: &ManArgs) -> Result<ExitCode, CliError> {
    clap_mangen::generate_to(Cli::command(), &command.folder).map_err(|error| {
        CliError::failed(format!(
            "{} cannot be written: {error}; name a folder that exists",
            command.folder.display()
        ))
    })?;
    Ok(ExitCode::SUCCESS)
}
