//! Reads an existing `mcpServers` file, strictly enough to report what is wrong with it.

mod expand;
mod filter;
mod plain;
mod remote;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use valetkey_core::{AccountName, Error, ErrorKind, Region, Result};

use valetkey_signing::Rules;

use crate::child::{Delivery, HomeFolder};

pub use crate::remote::RemoteUrl;
pub use expand::VarLookup;
pub use filter::ToolFilter;
pub use plain::jsonc_to_json;
pub(crate) use remote::parse_header_name;

use expand::ResolvedVars;
use server::{EntryReader, ParsedEntry};

/// Limit on the size of the file, in bytes.
const MAX_FILE_SIZE: usize = 4 * 1024 * 1024;

/// The servers of one `mcpServers` file.
///
/// # Examples
/// ```
/// use valetkey_mcp::McpConfig;
/// use valetkey_mcp::config::VarLookup;
///
/// let variables = VarLookup::new(|name| std::env::var(name).ok());
/// let text = r#"{"mcpServers": {"files": {"command": "npx", "args": ["-y", "some-server"]}}}"#;
/// let config = McpConfig::parse(text, &variables)?;
/// assert_eq!(config.servers["files"].command, "npx");
/// # Ok::<(), valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct McpConfig {
    /// The valid servers, by name.
    pub servers: BTreeMap<String, ServerConfig>,
    /// The errors of invalid servers. They do not affect the other servers.
    pub errors: Vec<ConfigError>,
    /// Warnings about entries that are valid or skipped, for example for unknown keys.
    pub warnings: Vec<ConfigError>,
}

/// How to start one server, or where a remote server is. Texts are kept as written in the file; references in them are expanded when the server
/// starts.
///
/// # Examples
/// ```
/// use valetkey_mcp::config::ServerConfig;
///
/// let mut server = ServerConfig::new("npx");
/// server.args = vec!["-y".to_owned(), "some-server".to_owned()];
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The program; empty for a remote server.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables in addition to the baseline.
    pub env: BTreeMap<String, String>,
    /// The working directory (default: that of the host).
    pub cwd: Option<PathBuf>,
    /// The URL of a remote server, which has no process: it is reached by streamable HTTP, with `https` or on a loopback
    /// address. `args`, `env`, `cwd` and `home` do not apply to it.
    pub url: Option<String>,
    /// The headers of the requests to a remote server.
    pub headers: BTreeMap<String, String>,
    /// The service that requests are signed for, with [`Delivery::SigV4`] (default: that in the host name).
    pub signing_service: Option<String>,
    /// The region that requests are signed for, with [`Delivery::SigV4`] (default: that in the host name).
    pub signing_region: Option<Region>,
    /// How the server gets the session's credentials.
    pub delivery: Delivery,
    /// Which AWS requests the server may send, with [`Delivery::Proxy`]. With another delivery it must be empty.
    pub requests: Rules,
    /// Which folder is the server's `HOME`.
    pub home: HomeFolder,
    /// The account of the session that the server acts in (default: the session's default account).
    pub account: Option<AccountName>,
    /// The account whose credentials sign the requests for the lists that an HTTP gateway shows to every caller, with
    /// [`Delivery::SigV4`] (default: none, so that such a gateway does not list the items of this server). Calls are signed
    /// with the credentials of the caller's session.
    pub list_account: Option<AccountName>,
    /// Which tools of the server are usable.
    pub tools: ToolFilter,
    /// Whether the names of its tools and prompts are listed as `server__name`. Without the prefix they are listed
    /// unchanged, for clients that know them; a name that another server lists as well is made unique by a hash, and a
    /// name of a credential tool stays that of the credential tool.
    pub prefix: bool,
    /// The timeout of a call to this server (default: the host's call timeout).
    pub call_timeout: Option<Duration>,
    /// The time without a call after which the server's process is stopped, until the next call; zero: never (default:
    /// the host's idle timeout).
    pub idle_timeout: Option<Duration>,
    /// Keys that valetkey does not know, unchanged.
    pub extra: Map<String, Value>,
    resolved_vars: ResolvedVars,
}

impl ServerConfig {
    /// Creates the configuration of a server that runs `command` and reads credentials from the endpoint.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::{Delivery, HomeFolder};
    /// use valetkey_mcp::config::ServerConfig;
    ///
    /// let server = ServerConfig::new("notes-server");
    /// assert_eq!(server.delivery, Delivery::Endpoint);
    /// assert_eq!(server.home, HomeFolder::Session);
    /// assert!(server.args.is_empty() && server.account.is_none() && server.prefix);
    /// ```
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            url: None,
            headers: BTreeMap::new(),
            signing_service: None,
            signing_region: None,
            list_account: None,
            delivery: Delivery::Endpoint,
            requests: Rules::default(),
            home: HomeFolder::Session,
            account: None,
            tools: ToolFilter::default(),
            prefix: true,
            call_timeout: None,
            idle_timeout: None,
            extra: Map::new(),
            resolved_vars: ResolvedVars::default(),
        }
    }

    /// Returns `text`, a text of this server, with its references expanded. `fact` resolves `${session:…}`.
    pub(crate) fn expand(
        &self,
        field: &str,
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<String> {
        self.resolved_vars.expand(field, text, &variable)
    }
}

/// An error or warning about one server of the file.
///
/// It repeats no value of the file, because a value may be a secret.
///
/// # Examples
/// ```
/// use valetkey_core::ErrorKind;
/// use valetkey_mcp::McpConfig;
/// use valetkey_mcp::config::VarLookup;
///
/// let text = r#"{"mcpServers": {"notes": {"command": "notes-server", "envFile": ".env"}}}"#;
/// let config = McpConfig::parse(text, &VarLookup::new(|_| None))?;
/// let failed = &config.errors[0];
/// assert_eq!(failed.server, "notes");
/// assert_eq!((failed.error.kind(), failed.error.field()), (ErrorKind::Invalid, Some("envFile")));
/// # Ok::<(), valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfigError {
    /// The name of the server.
    pub server: String,
    /// The error, which names the field and the remedy.
    pub error: Error,
}

impl McpConfig {
    /// Parses the text of a file with servers in the format of any MCP client: an object of servers under
    /// `mcpServers`, `servers` or `mcp.servers`, or the object of servers itself. Comments and trailing commas are
    /// allowed. `variables` resolves `${VAR}`.
    ///
    /// | key of a server | meaning | default |
    /// |---|---|---|
    /// | `command` | the program; a leading `~` is the home folder | required without `url` |
    /// | `args` | its arguments | none |
    /// | `env` | additional environment variables | none |
    /// | `cwd` | the working directory | that of the host |
    /// | `disabled`, `enabled` | whether the server is left out | not left out |
    /// | `disabledTools`, `excludeTools` | tools that are not usable | none |
    /// | `includeTools`, `enabledTools`, `allowedTools`, `tools` | the only tools that are usable | all |
    /// | `timeout` | the limit of a call, in milliseconds, or in seconds if it is below 1,000 | that of the host |
    /// | `url`, `serverUrl`, `httpUrl` | a remote server, if there is no `command`: an `https` URL | none |
    /// | `headers` | headers of the requests to a remote server | none |
    ///
    /// A key that looks like a limit and is not in this table is an error: to ignore it would give the server more
    /// authority than the file intends. Every other key is kept in [`ServerConfig::extra`], with a warning.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::McpConfig;
    /// use valetkey_mcp::config::VarLookup;
    ///
    /// let text = r#"{
    ///     // One mistake does not affect the other server.
    ///     "mcpServers": {
    ///         "notes": {"command": "notes-server", "env": {"TOKEN": "${NOTES_TOKEN}"}},
    ///         "broken": {"args": ["-v"]},
    ///     },
    /// }"#;
    /// let variables = VarLookup::new(|name| (name == "NOTES_TOKEN").then(|| "t0k".to_owned()));
    /// let config = McpConfig::parse(text, &variables)?;
    /// assert_eq!(config.servers.keys().collect::<Vec<_>>(), ["notes"]);
    /// assert_eq!(config.errors[0].server, "broken");
    /// assert_eq!(config.errors[0].error.field(), Some("command"));
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns `Invalid` if the text is not such an object or is longer than 4 MiB. A syntax error is reported by
    /// line and column, never by content. Errors of single servers are in [`errors`](Self::errors) and do not fail
    /// the file.
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
            Err(error) => self.errors.push(config_error(error)),
        }
    }
}

/// Finds the object of servers in the format of any client.
fn find_servers(file: &Value) -> Option<&Map<String, Value>> {
    let nested = ["/mcpServers", "/servers", "/mcp/servers"].into_iter().find_map(|path| file.pointer(path));
    if let Some(servers) = nested {
        return servers.as_object();
    }
    // Plugins omit the key.
    let is_server =
        |entry: &Value| ["command", "url", "serverUrl", "httpUrl"].iter().any(|key| entry.get(key).is_some());
    file.as_object().filter(|servers| !servers.is_empty() && servers.values().all(is_server))
}

#[cfg(test)]
mod tests;
