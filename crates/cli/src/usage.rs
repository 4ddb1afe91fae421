//! Parses the command line. Errors repeat no argument, because a secret may have been pasted into the wrong place.

use std::error::Error as _;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::arguments::Cli;

/// Parses the arguments of this process. Prints help and errors, and returns their exit code.
#[allow(clippy::print_stderr, reason = "errors of the command line are printed before there is a log")]
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        if !error.use_stderr() || is_help {
            // If the output is closed, the error cannot be reported.
            drop(error.print());
            return ExitCode::from(if is_help { 2 } else { 0 });
        }
        eprintln!("error: {}\n", error_message(&error));
        if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
            eprintln!("{usage}\n");
        }
        eprintln!("For more information, try '--help'.");
        ExitCode::from(2)
    })
}

/// Describes the error in this program's own words, without arguments.
fn error_message(error: &clap::Error) -> String {
    let argument = context_text(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::InvalidValue => match context_text(error, ContextKind::ValidValue) {
            valid if valid.is_empty() => format!("{argument} needs a value"),
            valid => format!("{argument} has a value that is not one of: {valid}"),
        },
        ErrorKind::ValueValidation => {
            let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            format!("{argument} has an invalid value{reason}")
        }
        ErrorKind::MissingRequiredArgument => format!("missing: {argument}"),
        ErrorKind::ArgumentConflict => {
            format!("{argument} cannot be used with {}", context_text(error, ContextKind::PriorArg))
        }
        ErrorKind::UnknownArgument => {
            with_suggestion("unexpected argument", error, ContextKind::SuggestedArg)
        }
        ErrorKind::InvalidSubcommand => {
            with_suggestion("unknown command", error, ContextKind::SuggestedSubcommand)
        }
        kind => kind.as_str().unwrap_or("the command line cannot be read").to_owned(),
    }
}

fn with_suggestion(what: &str, error: &clap::Error, kind: ContextKind) -> String {
    match context_text(error, kind) {
        names if names.is_empty() => what.to_owned(),
        names => format!("{what}; did you mean `{names}`?"),
    }
}

fn context_text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(word)) => word.clone(),
        Some(ContextValue::Strings(words)) => words.join(", "),
        _ => String::new(),
    }
}
