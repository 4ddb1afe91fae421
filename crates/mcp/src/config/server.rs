//! `EntryReader`: reads the entry of one server. A limit in an entry is applied or reported as an error, and never
//! ignored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use valetkey_core::{Error, Result};

use super::ServerConfig;
use super::expand::{ResolvedVars, VarLookup};
use super::filter::parse_tool_names;

/// The longest name of a server, in characters.
const MAX_SERVER_NAME_LEN: usize = 256;

/// Keys about the client itself: what it displays, and which tools it runs without a prompt.
const CLIENT_KEYS: &[&str] = &[
    "autoApprove",
    "alwaysAllow",
    "trust",
    "name",
    "title",
    "description",
    "icon",
    "version",
    "gallery",
    "metadata",
    "type",
    "transport",
];

/// Prefixes of keys that limit what a server may do.
const LIMITING_KEY_PREFIXES: &[&str] = &[
    "disable",
    "enable",
    "exclude",
    "include",
    "allow",
    "deny",
    "block",
    "only",
    "read",
    "restrict",
    "limit",
    "forbid",
    "permission",
    "sandbox",
];

/// The variables that would select credentials other than the session's. A child never gets them.
const CREDENTIAL_VARS: &[&str] = &[
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// The result of reading an entry.
pub(super) enum ParsedEntry {
    Server(Box<ServerConfig>),
    /// The entry is disabled, and was skipped for this reason.
    Skipped(Error),
}

/// Reads one entry. It collects the warnings, and the values of the variables that the entry names.
pub(super) struct EntryReader<'a> {
    variables: &'a VarLookup,
    resolved_vars: ResolvedVars,
    warnings: Vec<Error>,
}

impl<'a> EntryReader<'a> {
    pub(super) fn new(variables: &'a VarLookup) -> Self {
        Self { variables, resolved_vars: ResolvedVars::default(), warnings: Vec::new() }
    }

    /// Returns the entry and its warnings.
    pub(super) fn read(mut self, name: &str, entry: &Value) -> Result<(ParsedEntry, Vec<Error>)> {
        let length = name.chars().count();
        if name.trim().is_empty() || length > MAX_SERVER_NAME_LEN || name.chars().any(char::is_control) {
            return Err(Error::invalid("name", "of a server must be 1 to 256 characters, not blank"));
        }
        let fields = entry
            .as_object()
            .ok_or_else(|| Error::invalid("server", "must be an object with a `command` or a `url`"))?;
        if let Some(reason) = disabled_reason(fields)? {
            return Ok((ParsedEntry::Skipped(reason), self.warnings));
        }
        let mut server = self.read_server(fields)?;
        server.resolved_vars = self.resolved_vars;
        Ok((ParsedEntry::Server(Box::new(server)), self.warnings))
    }

    fn read_server(&mut self, fields: &Map<String, Value>) -> Result<ServerConfig> {
        let mut server = match non_null(fields, "command") {
            Some(command) => {
                let server = ServerConfig::new(self.read_path("command", command)?);
                self.check_command(&server.command)?;
                server
            }
            None => ServerConfig::remote(self.read_url(fields)?.ok_or_else(|| {
                Error::invalid("command", "is missing")
                    .with_next_step("name the program that runs the server, or the `url` of a remote server")
            })?),
        };
        for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            self.read_field(&mut server, key, value)?;
        }
        Ok(server)
    }

    fn read_field(&mut self, server: &mut ServerConfig, key: &str, value: &Value) -> Result<()> {
        match key {
            "command" | "disabled" | "enabled" => {}
            "url" | "serverUrl" | "httpUrl" if server.url.is_some() => {}
            "headers" if server.url.is_some() => server.headers = self.read_headers(value)?,
            "args" | "env" | "cwd" if server.url.is_some() => {
                self.warn(key, "is for a process, and has no effect on a remote server");
            }
            "args" => server.args = self.read_args(value)?,
            "env" => server.env = self.read_env(value)?,
            "cwd" => server.cwd = Some(self.read_path("cwd", value)?.into()),
            "timeout" => server.call_timeout = Some(parse_timeout(value)?),
            "disabledTools" | "excludeTools" => server.tools.deny.extend(parse_tool_names(key, value)?),
            "includeTools" | "enabledTools" | "allowedTools" => {
                server.tools.restrict_to(parse_tool_names(key, value)?);
            }
            "tools" => self.read_tools(server, value)?,
            "envFile" => {
                return Err(Error::invalid("envFile", "names a file that valetkey does not read")
                    .with_next_step("write its variables into `env`, secrets as `${NAME}`"));
            }
            _ => self.read_other_key(server, key, value)?,
        }
        Ok(())
    }

    /// Reads `tools`: a list of names in some clients, a list of descriptions in others.
    fn read_tools(&mut self, server: &mut ServerConfig, value: &Value) -> Result<()> {
        match parse_tool_names("tools", value) {
            Ok(names) if names.iter().any(|name| name == "*") => {}
            Ok(names) => server.tools.restrict_to(names),
            Err(_) if value.as_array().is_some_and(|list| list.iter().all(Value::is_object)) => {
                self.warn("tools", "describes tools; the server's own list is used");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Keeps a key that has no meaning here, with a warning, or rejects it if it looks like a limit: ignoring a limit
    /// would give the server more authority than the file intends.
    fn read_other_key(&mut self, server: &mut ServerConfig, key: &str, value: &Value) -> Result<()> {
        let lower = key.to_lowercase();
        let is_client_key = CLIENT_KEYS.contains(&key);
        if !is_client_key && LIMITING_KEY_PREFIXES.iter().any(|word| lower.starts_with(word)) {
            return Err(Error::invalid(key.to_owned(), "looks like a limit that valetkey does not know")
                .with_next_step("use `disabled`, `disabledTools` or `includeTools`, or remove it"));
        }
        if !matches!(key, "type" | "transport") {
            let rule = if is_client_key {
                "is about the client, and was ignored"
            } else {
                "is not a key that valetkey knows; it was kept and ignored"
            };
            self.warn(key, rule);
        }
        server.extra.insert(key.to_owned(), value.clone());
        Ok(())
    }

    /// Rejects a whole command line in place of a program, which is the most common mistake.
    fn check_command(&self, command: &str) -> Result<()> {
        let expanded =
            self.resolved_vars.expand("command", command, &|variable| Some(variable.to_owned()))?;
        if expanded.trim().is_empty() {
            return Err(Error::invalid("command", "must not be empty"));
        }
        let is_line = |command: &str| {
            command.split_once(char::is_whitespace).is_some_and(|(program, _)| !program.contains('/'))
        };
        if is_line(command.trim()) {
            return Err(Error::invalid("command", "holds a whole command line")
                .with_next_step("split the line into `command` and `args`"));
        }
        Ok(())
    }

    fn read_args(&mut self, value: &Value) -> Result<Vec<String>> {
        let items = value.as_array().ok_or_else(|| Error::invalid("args", "must be an array of strings"))?;
        items.iter().map(|item| self.read_text("args", item)).collect()
    }

    fn read_env(&mut self, value: &Value) -> Result<BTreeMap<String, String>> {
        let entries =
            value.as_object().ok_or_else(|| Error::invalid("env", "must be an object of strings"))?;
        for name in entries.keys().filter(|name| CREDENTIAL_VARS.contains(&name.as_str())) {
            self.warnings.push(credential_variable_warning(name));
        }
        let entries = entries.iter().filter(|(_, item)| !item.is_null());
        entries.map(|(key, item)| Ok((key.clone(), self.read_text(&format!("env.{key}"), item)?))).collect()
    }

    /// Reads a path, in which a leading `~` is the home folder.
    fn read_path(&mut self, field: &str, value: &Value) -> Result<String> {
        let text = self.read_text(field, value)?;
        let Some(rest) = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Ok(text);
        };
        let home = self.variables.get("HOME").ok_or_else(|| {
            Error::invalid(field.to_owned(), "begins with `~`, and `HOME` is not set")
                .with_next_step("write the whole path")
        })?;
        Ok(format!("{}{rest}", home.replace("${", "$${")))
    }

    pub(super) fn resolved_vars(&self) -> &ResolvedVars {
        &self.resolved_vars
    }

    pub(super) fn read_text(&mut self, field: &str, value: &Value) -> Result<String> {
        let text = value.as_str().ok_or_else(|| Error::invalid(field.to_owned(), "must be a string"))?;
        if text.contains('\0') {
            return Err(Error::invalid(field.to_owned(), "must not contain a NUL character"));
        }
        self.variables.resolve(field, text, &mut self.resolved_vars)?;
        Ok(text.to_owned())
    }

    fn warn(&mut self, field: &str, rule: &str) {
        self.warnings.push(Error::invalid(field.to_owned(), rule));
    }
}

/// Returns a field; `null` counts as absent.
pub(super) fn non_null<'v>(fields: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    fields.get(key).filter(|value| !value.is_null())
}

/// Returns the reason for skipping the entry if it is disabled.
fn disabled_reason(fields: &Map<String, Value>) -> Result<Option<Error>> {
    for (key, off) in [("disabled", true), ("enabled", false)] {
        match non_null(fields, key).map(Value::as_bool) {
            None => {}
            Some(None) => return Err(Error::invalid(key, "must be true or false")),
            Some(Some(value)) if value == off => {
                let left_out = Error::invalid(key, format!("is {off}; the server was left out"));
                return Ok(Some(left_out.with_next_step(format!("remove `{key}` to have the server"))));
            }
            Some(Some(_)) => {}
        }
    }
    Ok(None)
}

fn credential_variable_warning(name: &str) -> Error {
    let error = Error::invalid(
        format!("env.{name}"),
        "would name other credentials than the session's, and is not given to the server",
    );
    if name.ends_with("PROFILE") {
        return error.with_next_step(
            "make the profile an account in valetkey.toml: `[accounts.NAME]` with `provider = \"profile\"` and \
             `name = …`, and `[servers.SERVER]` with `account = \"NAME\"`",
        );
    }
    error.with_next_step("make the keys an account in valetkey.toml, or set them with a tool")
}

/// Parses a timeout in milliseconds, or in seconds if it is below 1000. Clients differ in the unit: a limit below one
/// second is implausible, and so is one of a quarter of an hour or more.
fn parse_timeout(value: &Value) -> Result<Duration> {
    match value.as_f64() {
        Some(number) if (1000.0..1e9).contains(&number) => Ok(Duration::from_secs_f64(number / 1000.0)),
        Some(number) if number > 0.0 && number < 1000.0 => Ok(Duration::from_secs_f64(number)),
        _ => Err(Error::invalid("timeout", "must be a number of milliseconds, or of seconds below 1000")),
    }
}
