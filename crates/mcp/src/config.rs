//! The `mcpServers` file that people already have, read strictly enough to say what is wrong with it.

mod expand;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};
use valetkey_core::{Alias, Error, ErrorKind, Result};

use crate::child::Delivery;

pub use expand::Variables;

use expand::Answers;

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

/// How one server is started. Texts are as in the file: what they refer to is put in when the server is started.
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
    answers: Answers,
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
            answers: Answers::default(),
        }
    }

    /// `text` of this server with what it refers to; `fact` answers for `${session:…}`.
    pub(crate) fn fill(
        &self,
        field: &str,
        text: &str,
        fact: impl Fn(&str) -> Option<String>,
    ) -> Result<String> {
        self.answers.fill(field, text, fact)
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
            let read = Reader { variables, warnings: Vec::new(), answers: Answers::default() };
            match read.server(name, entry) {
                Ok((server, warnings)) => {
                    config.servers.extend(server.map(|server| (name.clone(), server)));
                    let told = |error| ConfigFault { server: name.clone(), error };
                    config.warnings.extend(warnings.into_iter().map(told));
                }
                Err(error) => config.faults.push(ConfigFault { server: name.clone(), error }),
            }
        }
        Ok(config)
    }
}

/// Reads one server.
struct Reader<'a> {
    variables: &'a Variables,
    answers: Answers,
    warnings: Vec<Error>,
}

impl Reader<'_> {
    /// `None` for a server that is disabled.
    fn server(mut self, name: &str, entry: &Value) -> Result<(Option<ServerConfig>, Vec<Error>)> {
        if name.is_empty() || name.len() > 64 {
            return Err(Error::invalid("name", "of a server must be 1 to 64 characters"));
        }
        let fields = entry
            .as_object()
            .ok_or_else(|| Error::invalid("server", "must be an object with a `command`"))?;
        if disabled(fields)? {
            let left_out = Error::invalid("disabled", "is true; the server was left out")
                .with_next_step("remove it, or write `\"disabled\": false`, to have the server");
            return Ok((None, vec![left_out]));
        }
        let server = self.enabled(fields)?;
        Ok((Some(ServerConfig { answers: self.answers, ..server }), self.warnings))
    }

    fn enabled(&mut self, fields: &Map<String, Value>) -> Result<ServerConfig> {
        let command = fields.get("command").ok_or_else(|| no_command(fields))?;
        let mut server = ServerConfig::new(self.text("command", command)?);
        let filled = self.answers.fill("command", &server.command, |fact| Some(fact.to_owned()))?;
        if filled.trim().is_empty() {
            return Err(Error::invalid("command", "must not be empty"));
        }
        for (key, value) in fields {
            match key.as_str() {
                "command" | "type" | "transport" | "disabled" => {}
                "args" => server.args = self.args(value)?,
                "env" => server.env = self.env(value)?,
                "cwd" => server.cwd = Some(self.text("cwd", value)?.into()),
                _ => {
                    let unknown = "is not a key that valetkey knows; it was kept and ignored";
                    self.warnings.push(Error::invalid(key.clone(), unknown));
                    server.extra.insert(key.clone(), value.clone());
                }
            }
        }
        Ok(server)
    }

    fn args(&mut self, value: &Value) -> Result<Vec<String>> {
        let items = value.as_array().ok_or_else(|| Error::invalid("args", "must be an array of strings"))?;
        items.iter().map(|item| self.text("args", item)).collect()
    }

    fn env(&mut self, value: &Value) -> Result<BTreeMap<String, String>> {
        let entries =
            value.as_object().ok_or_else(|| Error::invalid("env", "must be an object of strings"))?;
        let entries = entries.iter();
        entries.map(|(key, item)| Ok((key.clone(), self.text(&format!("env.{key}"), item)?))).collect()
    }

    fn text(&mut self, field: &str, value: &Value) -> Result<String> {
        let text = value.as_str().ok_or_else(|| Error::invalid(field.to_owned(), "must be a string"))?;
        if text.contains('\0') {
            return Err(Error::invalid(field.to_owned(), "must not contain a NUL character"));
        }
        self.variables.answer(field, text, &mut self.answers)?;
        Ok(text.to_owned())
    }
}

fn disabled(fields: &Map<String, Value>) -> Result<bool> {
    let disabled = fields.get("disabled").map_or(Some(false), Value::as_bool);
    disabled.ok_or_else(|| Error::invalid("disabled", "must be true or false"))
}

fn no_command(fields: &Map<String, Value>) -> Error {
    if fields.contains_key("url") {
        return Error::invalid("url", "names a remote server, which has no process to give credentials to")
            .with_next_step("register it with the client directly, or give a `command` that runs it here");
    }
    Error::invalid("command", "is missing").with_next_step("name the program that runs the server")
}

#[cfg(test)]
mod tests;
