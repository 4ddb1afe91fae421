//! `valetkey adopt --revert`: restores a client's file, with the changes that were made to it since.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jsonc_parser::cst::{CstInputValue, CstObject};
use serde_json::Value;

use super::changes::Changes;
use super::client_file::ClientFile;
use super::masked::mask_secrets;
use super::{AdoptedPaths, Adoption, print_diff};
use crate::error::CliError;
use crate::files::{self, AllowedWriters};
use crate::output::print_lines;
use crate::serve::config_error;
use crate::settings::Diagnostic;

/// A text that no client's file contains, in place of the object of servers.
const PLACEHOLDER: &str = "valetkey:servers";

pub(super) fn run(file: &ClientFile, dry_run: bool) -> Result<ExitCode, CliError> {
    let paths = AdoptedPaths::beside(&file.path);
    let backup = files::read_text(&paths.backup, AllowedWriters::OwnerAndGroup).map_err(|what| {
        CliError::usage(format!(
            "{} was not adopted: {} {what}",
            file.named.display(),
            paths.backup.display()
        ))
    })?;
    let original = ClientFile::parse(&file.named, backup).map_err(|error| config_error(&[error]))?;
    let adoption = Adoption::new(&original)?;
    let restored = if adoption.client == file.text {
        original.text.clone()
    } else {
        restore_servers(file, &original).map_err(|error| config_error(&[error]))?
    };
    print_diff(&file.path, &mask_secrets(&file.text), &mask_secrets(&restored))?;
    let written = [(paths.servers, &adoption.servers), (paths.settings, &adoption.settings)];
    let (unchanged, changed): (Vec<_>, Vec<_>) = written
        .into_iter()
        .filter(|(path, _)| path.exists())
        .partition(|(path, text)| is_text_of(path, text));
    if dry_run {
        print_lines(["nothing was changed, because of `--dry-run`"])?;
        return Ok(ExitCode::SUCCESS);
    }
    let changes =
        Changes { client: file.path.clone(), before: file.text.clone(), after: restored, added: Vec::new() };
    changes.apply().map_err(CliError::failed)?;
    let removed = unchanged.into_iter().map(|(path, _)| path).chain([paths.backup]);
    removed.into_iter().try_for_each(remove_file)?;
    print_lines([format!("restored {}", file.named.display())])?;
    print_lines(changed.iter().map(|(path, _)| format!("kept {}, because it has changed", path.display())))?;
    Ok(ExitCode::SUCCESS)
}

fn is_text_of(path: &Path, text: &str) -> bool {
    files::read_text(path, AllowedWriters::OwnerAndGroup).is_ok_and(|present| present == text)
}

fn remove_file(path: PathBuf) -> Result<(), CliError> {
    fs::remove_file(&path)
        .map_err(|error| CliError::failed(format!("{} cannot be removed: {error}", path.display())))
}

/// Returns the text of `file` with the servers of `original`, and with those that were added or changed since.
fn restore_servers(file: &ClientFile, original: &ClientFile) -> Result<String, Diagnostic> {
    let (_original_root, servers) = original.servers()?;
    let gateway = file.gateway();
    let earlier = original.entries()?;
    for (name, entry) in file.entries()?.into_iter().filter(|(name, _)| Some(name) != gateway.as_ref()) {
        if !earlier.contains(&(name.clone(), entry.clone())) {
            write_entry(&servers, &name, &Value::Object(entry));
        }
    }
    let (root, present) = file.servers()?;
    if root.object_value().is_some_and(|whole| whole.to_string() == present.to_string()) {
        return Ok(servers.to_string());
    }
    present.replace_with(PLACEHOLDER.into());
    Ok(file.edited_text(&root).replace(&format!("\"{PLACEHOLDER}\""), &servers.to_string()))
}

fn write_entry(servers: &CstObject, name: &str, entry: &Value) {
    match servers.get(name) {
        Some(present) => present.set_value(to_input(entry)),
        None => drop(servers.append(name, to_input(entry))),
    }
}

fn to_input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(to_input).collect()),
        Value::Object(fields) => CstInputValue::Object(
            fields.iter().map(|(name, value)| (name.clone(), to_input(value))).collect(),
        ),
    }
}
