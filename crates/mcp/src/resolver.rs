//! `McpToolResolver`: looks up credentials by id with a tool of an MCP server, such as `get_aws_credential`.
//!
//! The resolver runs the server itself, in a host of its own, so the keys pass neither through a model nor through a
//! gateway. Nothing of a result is logged, and no text of the server is part of an error: it may contain keys.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use valetkey_core::{CredentialId, CredentialResolver, Credentials, Error, ErrorKind, Region, Result};

use crate::json::round_numbers;
use crate::{McpConfig, McpHost, McpHostBuilder};

const PROVIDER: &str = "mcp";
const DEFAULT_ARGUMENT: &str = "id";

type HostFactory = dyn Fn() -> McpHostBuilder + Send + Sync;

/// Looks up credentials with a tool of an MCP server.
///
/// The server is started at the first lookup, by a host that `describe` returns, and stopped when the resolver is
/// dropped or [cleared](CredentialResolver::clear_cache). The session of that host is not the session that uses the
/// resolver: give the server no credentials, or those of a fixed account.
///
/// The result of the tool is a JSON object, as structured content or as text, with the keys in any format that
/// [`Credentials::from_json`] reads. Hide the tool from the model with [`hide_tool`](Self::hide_tool).
///
/// # Examples
/// ```no_run
/// use valetkey_core::{Result, SessionContext};
/// use valetkey_mcp::{McpConfig, McpHost, McpToolResolver};
///
/// # async fn example(mut config: McpConfig) -> Result<()> {
/// let (platform, servers) = (SessionContext::builder().build(), config.clone());
/// let resolver = McpToolResolver::new("platform", "get_aws_credential", move || {
///     McpHost::builder(&platform, servers.clone())
/// })
/// .argument("credential_id")
/// .credentials_pointer("/spec")?;
/// resolver.hide_tool(&mut config);
///
/// let session = SessionContext::builder().resolver(resolver).build();
/// let host = McpHost::builder(&session, config).start().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct McpToolResolver {
    server: String,
    tool: String,
    argument: String,
    credentials_pointer: String,
    id_pointer: Option<String>,
    region_pointer: Option<String>,
    describe: Box<HostFactory>,
    /// The host of the server; empty before the first lookup. Replaced when the resolver is cleared.
    host: Mutex<Arc<OnceCell<McpHost>>>,
}

impl McpToolResolver {
    /// Creates a resolver that calls `tool` of `server`, both by their own names, with the id in the argument `id`.
    /// `describe` returns the host that runs the server.
    pub fn new(
        server: impl Into<String>,
        tool: impl Into<String>,
        describe: impl Fn() -> McpHostBuilder + Send + Sync + 'static,
    ) -> Self {
        Self {
            server: server.into(),
            tool: tool.into(),
            argument: DEFAULT_ARGUMENT.to_owned(),
            credentials_pointer: String::new(),
            id_pointer: None,
            region_pointer: None,
            describe: Box::new(describe),
            host: Mutex::default(),
        }
    }

    /// Sets the argument of the tool that receives the id (default: `id`).
    pub fn argument(mut self, name: impl Into<String>) -> Self {
        self.argument = name.into();
        self
    }

    /// Sets the JSON pointer to the keys in the result (default: the whole result).
    ///
    /// # Errors
    /// `Invalid` for a text that is not a JSON pointer: empty, or beginning with `/`.
    pub fn credentials_pointer(mut self, pointer: &str) -> Result<Self> {
        self.credentials_pointer = parse_pointer("credentials", pointer)?;
        Ok(self)
    }

    /// Sets the JSON pointer to the id in the result. A result with another id is refused (default: not checked).
    ///
    /// # Errors
    /// As [`credentials_pointer`](Self::credentials_pointer).
    pub fn id_pointer(mut self, pointer: &str) -> Result<Self> {
        self.id_pointer = Some(parse_pointer("id", pointer)?);
        Ok(self)
    }

    /// Sets the JSON pointer to the region in the result (default: the region among the keys, if any).
    ///
    /// # Errors
    /// As [`credentials_pointer`](Self::credentials_pointer).
    pub fn region_pointer(mut self, pointer: &str) -> Result<Self> {
        self.region_pointer = Some(parse_pointer("region", pointer)?);
        Ok(self)
    }

    /// Removes the tool from `config`: a host with this configuration neither lists nor calls it.
    pub fn hide_tool(&self, config: &mut McpConfig) {
        if let Some(server) = config.servers.get_mut(&self.server) {
            server.tools.deny.push(self.tool.clone());
        }
    }

    /// Calls the tool and returns its result.
    async fn call_tool(&self, id: &CredentialId) -> Result<Value> {
        let cell = Arc::clone(&*self.host.lock());
        let start = || async { (self.describe)().start().await };
        let arguments = Map::from_iter([(self.argument.clone(), Value::from(id.as_str()))]);
        let called = async {
            let host = cell.get_or_try_init(start).await?;
            host.call_unmasked(&self.server, &self.tool, arguments, &CancellationToken::new()).await
        };
        let mut result = called.await.map_err(|error| self.call_error(&error))?;
        round_numbers(&mut result);
        if result["isError"] == true {
            return Err(self
                .error(ErrorKind::Denied, "the tool returned no credentials for this id")
                .with_field("provider_credential_id")
                .with_next_step(
                    "check the id of the stack job, or ask its owner to grant it to this session",
                ));
        }
        Ok(result)
    }

    /// Converts an error of the host. Its text may quote the server, so only its kind is kept.
    fn call_error(&self, error: &Error) -> Error {
        let kind = match error.kind() {
            // The server has refused the request.
            ErrorKind::Invalid => ErrorKind::Denied,
            kind => kind,
        };
        let message = format!("the tool `{}` of the server `{}` could not be called", self.tool, self.server);
        self.error(kind, message).with_next_step("check that the server starts and has this tool")
    }

    fn error(&self, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(kind, message).with_provider(PROVIDER)
    }

    /// Parses the keys of a document, which belongs to `id`.
    fn parse(&self, document: &Value, id: &CredentialId) -> Result<Credentials> {
        let missing = |what| {
            self.error(
                ErrorKind::Invalid,
                format!("the result of the tool has no {what} at the configured pointer"),
            )
        };
        if let Some(pointer) = &self.id_pointer {
            let found = document.pointer(pointer).ok_or_else(|| missing("id"))?;
            // A number is compared by its digits.
            let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            if found != id.as_str() {
                return Err(self.error(ErrorKind::Denied, "the tool returned the credentials of another id"));
            }
        }
        let keys = document.pointer(&self.credentials_pointer).ok_or_else(|| missing("credentials"))?;
        let text = Zeroizing::new(keys.as_str().map_or_else(|| keys.to_string(), str::to_owned));
        let credentials = Credentials::from_json(&text, PROVIDER)?;
        let region = self.region_pointer.as_ref().and_then(|pointer| document.pointer(pointer)?.as_str());
        match region {
            Some(region) => Ok(credentials.with_region(Region::parse("region", region)?)),
            None => Ok(credentials),
        }
    }
}

/// Returns the documents of a result: its structured content, and its texts as JSON.
fn documents(result: &mut Value) -> impl Iterator<Item = Value> {
    let structured = result["structuredContent"].take();
    let texts = match result["content"].take() {
        Value::Array(content) => content,
        _ => Vec::new(),
    };
    let parsed = texts.into_iter().filter_map(|content| serde_json::from_str(content["text"].as_str()?).ok());
    [structured].into_iter().chain(parsed).filter(Value::is_object)
}

fn parse_pointer(field: &'static str, pointer: &str) -> Result<String> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(pointer.to_owned());
    }
    Err(Error::invalid(field, "must be a JSON pointer, such as `/spec/credentials`"))
}

#[async_trait]
impl CredentialResolver for McpToolResolver {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(PROVIDER)
    }

    async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        let mut result = self.call_tool(id).await?;
        let no_object = || self.error(ErrorKind::Invalid, "the result of the tool is not a JSON object");
        let mut failed = None;
        for document in documents(&mut result) {
            match self.parse(&document, id) {
                Err(error) if error.kind() == ErrorKind::Invalid => failed = Some(error),
                parsed => return parsed,
            }
        }
        Err(failed.unwrap_or_else(no_object))
    }

    /// Kills the server. The next lookup starts it again.
    fn clear_cache(&self) {
        *self.host.lock() = Arc::default();
    }
}

impl fmt::Debug for McpToolResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpToolResolver")
            .field("server", &self.server)
            .field("tool", &self.tool)
            .finish_non_exhaustive()
    }
}
