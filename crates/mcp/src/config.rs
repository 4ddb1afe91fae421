//! The `mcpServers` file that people already have, read strictly enough to say what is wrong with it.

mod expand;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};
use valetkey_core::{Alias, Error, ErrorKind, Result};

use crate::child::Delivery;

pub use expand::{Variables, resolve_session};

/// The servers of one file.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct McpConfig {
    /// The servers that can be started, by name.
    pub servers: BTreeMap<String, ServerConfig>,
    /// The servers that can not, and why. They do not hide the others.
    pub faults: Vec<ConfigFault>,
    /// What was understood but deserves a look, such as unknown keys.
    pub warnings: Vec<ConfigFault>,
}

/// How one server is started.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it gets in its environment besides the baseline.
    pub env: BTreeMap<String, String>,
    /// Where it runs; the host's own directory unless said.
    pub cwd: Option<PathBuf>,
    /// How it gets the session's credentials.
    pub delivery: Delivery,
    /// Which account of the session it acts in; the default one unless said.
    pub account: Option<Alias>,
    /// Keys that valetkey does not know, as they were.
    pub extra: Map<String, Value>,
}

impl ServerConfig {
    /// A server that runs `command` and reads credentials from the endpoint.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            delivery: Delivery::Endpoint,
            account: None,
            extra: Map::new(),
        }
    }
}

/// What is wrong with one server of the file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfigFault {
    /// The server.
    pub server: String,
    /// What is wrong, naming the field and the remedy.
    pub error: Error,
}

impl McpConfig {
    /// Reads the text of an `mcpServers` (or `servers`) file. `variables` answers for `${VAR}`.
    ///
    /// # Errors
    /// `Invalid` when the text is not a JSON object with one of the two keys: told by line and column, never by
    /// content. What is wrong with single servers is in [`faults`](Self::faults).
    pub fn parse(text: &str, variables: &Variables) -> Result<Self> {
        let file: Value = serde_json::from_str(text).map_err(|error| {
            let place = format!("invalid JSON at line {} column {}", error.line(), error.column());
            Error::new(ErrorKind::Invalid, place)
                .with_next_step("the file is one object with the key `mcpServers`")
        })?;
        let servers = file.get("mcpServers").or_else(|| file.get("servers")).and_then(Value::as_object);
        let servers = servers.ok_or_else(|| {
            Error::invalid("mcpServers", "must be an object of servers by name")
                .with_next_step("write `{\"mcpServers\": {\"name\": {\"command\": \"…\"}}}`")
        })?;
        let mut config = Self::default();
        for (name, entry) in servers {
            match server(name, entry, variables, &mut config.warnings) {
                Ok(server) => drop(config.servers.insert(name.clone(), server)),
                Err(error) => config.faults.push(ConfigFault { server: name.clone(), error }),
            }
        }
        Ok(config)
    }
}

fn server(
    name: &str,
    entry: &Value,
    variables: &Variables,
    warnings: &mut Vec<ConfigFault>,
) -> Result<ServerConfig> {
    if name.is_empty() || name.len() > 64 {
        return Err(Error::invalid("name", "of a server must be 1 to 64 characters"));
    }
    let fields =
        entry.as_object().ok_or_else(|| Error::invalid("server", "must be an object with a `command`"))?;
    let Some(command) = fields.get("command") else {
        return Err(no_command(fields));
    };
    let mut server = ServerConfig::new(text("command", command, variables)?);
    if server.command.trim().is_empty() {
        return Err(Error::invalid("command", "must not be empty"));
    }
    for (key, value) in fields {
        match key.as_str() {
            "command" | "type" | "transport" | "disabled" => {}
            "args" => server.args = args(value, variables)?,
            "env" => server.env = env(value, variables)?,
            "cwd" => server.cwd = Some(text("cwd", value, variables)?.into()),
            _ => {
                let error =
                    Error::invalid(key.clone(), "is not a key that valetkey knows; it was kept and ignored");
                warnings.push(ConfigFault { server: name.to_owned(), error });
                server.extra.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(server)
}

fn no_command(fields: &Map<String, Value>) -> Error {
    if fields.contains_key("url") {
        return Error::invalid("url", "names a remote server, which has no process to give credentials to")
            .with_next_step("register it with the client directly, or give a `command` that runs it here");
    }
    Error::invalid("command", "is missing").with_next_step("name the program that runs the server")
}

fn args(value: &Value, variables: &Variables) -> Result<Vec<String>> {
    let items = value.as_array().ok_or_else(|| Error::invalid("args", "must be an array of strings"))?;
    items.iter().map(|item| text("args", item, variables)).collect()
}

fn env(value: &Value, variables: &Variables) -> Result<BTreeMap<String, String>> {
    let entries = value.as_object().ok_or_else(|| Error::invalid("env", "must be an object of strings"))?;
    entries
        .iter()
        .map(|(key, item)| Ok((key.clone(), text(&format!("env.{key}"), item, variables)?)))
        .collect()
}

fn text(field: &str, value: &Value, variables: &Variables) -> Result<String> {
    let text = value.as_str().ok_or_else(|| Error::invalid(field.to_owned(), "must be a string"))?;
    if text.contains('\0') {
        return Err(Error::invalid(field.to_owned(), "must not contain a NUL character"));
    }
    variables.expand(field, text)
}

#[cfg(test)]
mod tests;
