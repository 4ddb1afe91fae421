//! The `mcpServers` file that people already have, read strictly enough to say what is wrong with it.

mod expand;
mod filter;
mod plain;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use valetkey_core::{AccountName, Error, ErrorKind, Result};

use crate::child::{Delivery, HomeFolder};

pub use expand::VarLookup;
pub use filter::ToolFilter;
pub use plain::jsonc_to_json;

use expand::ResolvedVars;
use server::{EntryReader, ParsedEntry};

/// The largest file with servers, in bytes.
const MAX_FILE_SIZE: usize = 4 * 1024 * 1024;

/// The servers of one file.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct McpConfig {
    /// The servers that can be started, by name.
    pub servers: BTreeMap<String, ServerConfig>,
    /// The servers that can not, and why. They do not hide the others.
    pub faults: Vec<ConfigError>,
    /// What was understood but deserves a look, such as unknown keys.
    pub warnings: Vec<ConfigError>,
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
    /// Which `HOME` it has.
    pub home: HomeFolder,
    /// Which account of the session it acts in; the default one unless said.
    pub account: Option<AccountName>,
    /// Which of its tools are usable.
    pub tools: ToolFilter,
    /// How long one of its calls may take; the host's own limit if absent.
    pub call_timeout: Option<Duration>,
    /// Keys that valetkey does not know, as they were.
    pub extra: Map<String, Value>,
    resolved_vars: ResolvedVars,
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
            home: HomeFolder::Session,
            account: None,
            tools: ToolFilter::default(),
            call_timeout: None,
            extra: Map::new(),
            resolved_vars: ResolvedVars::default(),
        }
    }

    /// `text` of this server with its references replaced; `fact` is called for `${session:…}`.
    pub(crate) fn expand(
        &self,
        field: &str,
        text: &str,
        fact: impl Fn(&str) -> Option<String>,
    ) -> Result<String> {
        self.resolved_vars.expand(field, text, &fact)
    }
}

/// What is wrong with one server of the file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfigError {
    /// The server.
    pub server: String,
    /// What is wrong, naming the field and the remedy.
    pub error: Error,
}

impl McpConfig {
    /// Reads the text of a file with servers, as MCP clients keep it: an object of servers under `mcpServers`, `servers` or
    /// `mcp.servers`, or the servers themselves. Comments and trailing commas are allowed. `variables` looks `${VAR}` up.
    ///
    /// # Errors
    /// `Invalid` when the text is no such object or longer than 4 MiB: reported by line and column, never by content. What is
    /// wrong with single servers is in [`faults`](Self::violations).
    pub fn parse(text: &str, variables: &VarLookup) -> Result<Self> {
        if text.len() > MAX_FILE_SIZE {
            return Err(Error::invalid("mcpServers", "must be a file of at most 4 MiB"));
        }
        let file: Value = serde_json::from_str(&jsonc_to_json(text)).map_err(|error| {
            let place = format!("invalid JSON at line {} column {}", error.line(), error.column());
            Error::new(ErrorKind::Invalid, place)
                .with_next_step("the file is one object with the key `mcpServers`")
        })?;
        let servers = find_servers(&file).ok_or_else(|| {
            Error::invalid("mcpServers", "must be an object of servers by name")
                .with_next_step("write `{\"mcpServers\": {\"name\": {\"command\": \"…\"}}}`")
        })?;
        let mut config = Self::default();
        for (name, entry) in servers {
            config.add_server(name, EntryReader::new(variables).read(name, entry));
        }
        Ok(config)
    }

    fn add_server(&mut self, name: &str, read: Result<(ParsedEntry, Vec<Error>)>) {
        let config_error = |error| ConfigError { server: name.to_owned(), error };
        match read {
            Ok((entry, warnings)) => {
                match entry {
                    ParsedEntry::Server(server) => drop(self.servers.insert(name.to_owned(), *server)),
                    ParsedEntry::Skipped(reason) => self.warnings.push(config_error(reason)),
                }
                self.warnings.extend(warnings.into_iter().map(config_error));
            }
            Err(error) => self.faults.push(config_error(error)),
        }
    }
}

/// The servers of a file, in the form of any client.
fn find_servers(file: &Value) -> Option<&Map<String, Value>> {
    let named = ["/mcpServers", "/servers", "/mcp/servers"].into_iter().find_map(|path| file.pointer(path));
    if let Some(servers) = named {
        return servers.as_object();
    }
    // Plugins leave the key out.
    let is_server =
        |entry: &Value| ["command", "url", "serverUrl", "httpUrl"].iter().any(|key| entry.get(key).is_some());
    file.as_object().filter(|servers| !servers.is_empty() && servers.values().all(is_server))
}

#[cfg(test)]
mod tests;
