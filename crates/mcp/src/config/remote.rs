//! Remote servers in the configuration: their headers, what requests are signed for, and which settings go together.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use hyper::header::HeaderName;
use serde_json::{Map, Value};
use valetkey_core::{Error, Region, Result};

use super::ServerConfig;
use super::server::{EntryReader, non_null};
use crate::child::{Delivery, selects_endpoint};
use crate::remote::RemoteUrl;

/// The keys that name a remote server. Clients differ.
const URL_KEYS: [&str; 3] = ["url", "serverUrl", "httpUrl"];
/// The headers that the protocol uses.
const RESERVED_HEADERS: [&str; 7] =
    ["accept", "connection", "content-length", "content-type", "host", "last-event-id", "transfer-encoding"];

impl ServerConfig {
    /// Creates the configuration of a remote server, which gets no credentials.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::Delivery;
    /// use valetkey_mcp::config::ServerConfig;
    ///
    /// let mut server = ServerConfig::remote("https://aws-mcp.us-east-1.api.aws/mcp");
    /// assert_eq!(server.delivery, Delivery::None);
    /// server.delivery = Delivery::SigV4;
    /// server.check()?;
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    pub fn remote(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), delivery: Delivery::None, ..Self::new("") }
    }

    /// Checks that the settings go together, as a start of the server does.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::Delivery;
    /// use valetkey_mcp::config::ServerConfig;
    ///
    /// let mut server = ServerConfig::new("notes-server");
    /// server.delivery = Delivery::SigV4;
    /// assert_eq!(server.check().unwrap_err().field(), Some("credentials"));
    /// ```
    ///
    /// # Errors
    /// `Invalid`, naming the field: `credentials` if the delivery is for the other kind of server; `requests` if there are
    /// rules without [`Delivery::Proxy`], which would never apply; `env` for a variable that selects an endpoint, with
    /// [`Delivery::Proxy`]; `list_account` without [`Delivery::SigV4`]; `headers` for a header that the protocol uses, or that
    /// would replace a signature.
    pub fn check(&self) -> Result<()> {
        if self.delivery != Delivery::Proxy && self.requests != super::Rules::default() {
            return Err(Error::invalid("requests", "apply only with `credentials = \"proxy\"`")
                .with_next_step("use that delivery, or a session policy, which AWS enforces"));
        }
        if self.delivery == Delivery::Proxy
            && let Some(name) = self.env.keys().find(|name| selects_endpoint(OsStr::new(name)))
        {
            return Err(Error::invalid(
                format!("env.{name}"),
                "selects an endpoint, which delivery `proxy` overrides",
            )
            .with_next_step("set it in the environment of valetkey itself, or use delivery `endpoint`"));
        }
        if self.delivery != Delivery::SigV4 && self.list_account.is_some() {
            return Err(Error::invalid("list_account", "applies only with `credentials = \"sigv4\"`")
                .with_next_step("remove it: the other servers are listed without credentials"));
        }
        let is_remote = self.url.is_some();
        match self.delivery {
            Delivery::SigV4 if !is_remote => Err(Error::invalid(
                "credentials",
                "is `sigv4`, which signs the requests to a remote server; this server is a process",
            )
            .with_next_step("use `proxy` or `endpoint`")),
            Delivery::Endpoint | Delivery::Env | Delivery::Proxy if is_remote => {
                Err(Error::invalid("credentials", "is for a process; this server is remote")
                    .with_next_step("use `sigv4` for a server of AWS, or `none`"))
            }
            delivery => {
                let mut names = self.headers.keys().map(|header| parse_header_name(header));
                names.try_for_each(|name| match name? {
                    name if delivery == Delivery::SigV4 && name == hyper::header::AUTHORIZATION => {
                        Err(Error::invalid("headers.Authorization", "would be replaced by the signature")
                            .with_next_step("remove it, or use `credentials = \"none\"`"))
                    }
                    _ => Ok(()),
                })
            }
        }
    }

    /// Returns the service and the region that requests to `url` are signed for: as configured, or else those in the host
    /// name.
    pub(crate) fn signing_scope(&self, url: &RemoteUrl) -> Result<(String, Region)> {
        let found = url.signing_scope().unzip();
        let service = self.signing_service.clone().or(found.0);
        let region = self.signing_region.clone().or(found.1);
        service.zip(region).ok_or_else(|| {
            Error::invalid("url", "does not name the service and the region that requests are signed for")
                .with_next_step("set `service` and `region` of the server in valetkey.toml")
        })
    }
}

/// Parses the name of a configured header.
pub(crate) fn parse_header_name(header: &str) -> Result<HeaderName> {
    let invalid = |rule| Error::invalid("headers", rule);
    let name: HeaderName =
        header.parse().map_err(|_| invalid("must have names of HTTP headers, such as `Authorization`"))?;
    if RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("mcp-") {
        return Err(invalid(
            "must not contain a header that the protocol itself uses, such as `Host` or `Mcp-Method`",
        ));
    }
    Ok(name)
}

impl EntryReader<'_> {
    /// Reads the URL of an entry without a `command`, with references to the environment as they are.
    pub(super) fn read_url(&mut self, fields: &Map<String, Value>) -> Result<Option<String>> {
        let Some((key, value)) = URL_KEYS.iter().find_map(|&key| Some((key, non_null(fields, key)?))) else {
            return Ok(None);
        };
        let url = self.read_text(key, value)?;
        let transport = ["type", "transport"].into_iter().find_map(|key| fields.get(key)?.as_str());
        if transport.is_some_and(|transport| transport.eq_ignore_ascii_case("sse")) {
            return Err(Error::invalid(
                "type",
                "is `sse`, a transport that MCP has replaced by streamable HTTP",
            )
            .with_next_step("use the server's URL for streamable HTTP, with `\"type\": \"http\"`"));
        }
        if !url.contains("${session:") {
            let expanded = self.resolved_vars().expand(key, &url, &|_| None)?;
            RemoteUrl::parse(&expanded).map_err(|error| error.with_field(key))?;
        }
        Ok(Some(url))
    }

    /// Reads the headers of a remote server.
    pub(super) fn read_headers(&mut self, value: &Value) -> Result<BTreeMap<String, String>> {
        let entries =
            value.as_object().ok_or_else(|| Error::invalid("headers", "must be an object of strings"))?;
        let entries = entries.iter().filter(|(_, item)| !item.is_null());
        let read = entries.map(|(name, item)| {
            parse_header_name(name)?;
            Ok((name.clone(), self.read_text(&format!("headers.{name}"), item)?))
        });
        read.collect()
    }
}
