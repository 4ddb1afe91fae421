//! `Site`: the addresses under which clients reach the gateway, and the checks of `Host` and `Origin`.
//!
//! A page in a browser can send requests to a loopback address under a name of its own (DNS rebinding). Such a request
//! has the page's name in `Host` or `Origin`, and is refused before anything else is read.

use std::net::SocketAddr;

use hyper::Uri;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use valetkey_core::{Error, Result};

use crate::https_client::is_loopback;

/// The path of the MCP endpoint.
pub(super) const MCP_PATH: &str = "/mcp";
/// The path under which each credential session has an MCP endpoint.
const SESSIONS_PATH: &str = "/s";
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// The names of the gateway.
#[derive(Debug, Clone, Default)]
pub(super) struct Site {
    /// The authorities that `Host` may have: `name:port`, or a name for any port.
    hosts: Vec<String>,
    /// The values that `Origin` may have.
    origins: Vec<String>,
    public_url: Option<PublicUrl>,
}

/// The URL of the MCP endpoint as clients know it.
#[derive(Debug, Clone)]
struct PublicUrl {
    origin: String,
    path: String,
}

/// What a request path refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Mcp,
    /// The MCP endpoint of the credential session with this handle.
    Session(&'a str),
    ResourceMetadata(Resource),
    Unknown,
}

/// A protected resource, as clients know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// The MCP endpoint.
    Endpoint,
    /// The MCP endpoints of single credential sessions. Its URL is the origin, because a URL with a handle would be
    /// shown to the authorization server.
    Sessions,
}

impl Site {
    /// Adds an authority that `Host` may have.
    pub(super) fn allow_host(&mut self, host: &str) {
        self.hosts.push(host.to_ascii_lowercase());
    }

    /// Adds a value that `Origin` may have.
    pub(super) fn allow_origin(&mut self, origin: &str) {
        self.origins.push(origin.trim_end_matches('/').to_ascii_lowercase());
    }

    /// Sets the URL under which clients reach the MCP endpoint.
    pub(super) fn set_public_url(&mut self, url: &str) -> Result<()> {
        let invalid = || {
            Error::invalid("public_url", "must be an absolute `https` URL without query and fragment")
                .with_next_step("write it as clients are given it, such as `https://mcp.example.com/mcp`")
        };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let (scheme, authority) = (uri.scheme_str(), uri.authority());
        let (Some(scheme), Some(authority), None) = (scheme, authority, uri.query()) else {
            return Err(invalid());
        };
        if url.contains('#') || authority.as_str().contains('@') {
            return Err(invalid());
        }
        if scheme != "https" && !(scheme == "http" && is_loopback(&uri)) {
            return Err(invalid());
        }
        let origin = format!("{scheme}://{}", authority.as_str().to_ascii_lowercase());
        self.allow_host(authority.as_str());
        self.allow_origin(&origin);
        self.public_url = Some(PublicUrl { origin, path: uri.path().trim_end_matches('/').to_owned() });
        Ok(())
    }

    pub(super) fn has_public_url(&self) -> bool {
        self.public_url.is_some()
    }

    /// Adds the names of a listener.
    pub(super) fn add_listener(&mut self, address: SocketAddr, encrypts: bool) {
        let scheme = if encrypts { "https" } else { "http" };
        let local = address.ip().is_loopback().then(|| format!("localhost:{}", address.port()));
        for host in [address.to_string()].into_iter().chain(local) {
            self.allow_origin(&format!("{scheme}://{host}"));
            self.allow_host(&host);
        }
        if self.public_url.is_none() {
            let origin = format!("{scheme}://{address}");
            self.public_url = Some(PublicUrl { origin, path: MCP_PATH.to_owned() });
        }
    }

    /// Whether the request was sent to one of the gateway's names, and by none of the pages of another site.
    pub(super) fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(host) = single(headers, &HOST) else { return false };
        let origin_allowed = !headers.contains_key(ORIGIN)
            || single(headers, &ORIGIN)
                .is_some_and(|origin| self.origins.contains(&origin.to_ascii_lowercase()));
        origin_allowed && self.allows_host(&host.to_ascii_lowercase())
    }

    /// Whether `host`, in lowercase, is allowed: exactly, or by its name for a name that is allowed with any port.
    fn allows_host(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        self.hosts.iter().any(|allowed| allowed == host || (!has_port(allowed) && allowed == name))
    }

    pub(super) fn route<'a>(&self, path: &'a str) -> Route<'a> {
        if matches!(path, "/mcp" | "/mcp/") {
            return Route::Mcp;
        }
        if let Some(handle) = session_in_path(path) {
            return Route::Session(handle);
        }
        let own_path = self.public_url.as_ref().map_or(MCP_PATH, |url| url.path.as_str());
        let prefix = own_path.strip_suffix(MCP_PATH).unwrap_or_default();
        match path.strip_prefix(METADATA_PATH) {
            Some("" | "/" | MCP_PATH) => Route::ResourceMetadata(Resource::Endpoint),
            Some(rest) if rest == own_path => Route::ResourceMetadata(Resource::Endpoint),
            Some(rest) => {
                let rest = rest.strip_prefix(prefix).unwrap_or(rest);
                let is_sessions = rest == SESSIONS_PATH || session_in_path(rest).is_some();
                if is_sessions { Route::ResourceMetadata(Resource::Sessions) } else { Route::Unknown }
            }
            None => Route::Unknown,
        }
    }

    /// Returns the URL of a resource, without a slash at its end: some clients refuse one.
    pub(super) fn resource(&self, resource: Resource) -> String {
        let Some(PublicUrl { origin, path }) = &self.public_url else { return String::new() };
        match resource {
            Resource::Endpoint => format!("{origin}{path}"),
            Resource::Sessions => origin.clone(),
        }
    }

    /// Returns the URL of the metadata of a resource.
    pub(super) fn metadata_url(&self, resource: Resource) -> String {
        let Some(PublicUrl { origin, path }) = &self.public_url else { return String::new() };
        match resource {
            Resource::Endpoint => format!("{origin}{METADATA_PATH}{path}"),
            Resource::Sessions => {
                let prefix = path.strip_suffix(MCP_PATH).unwrap_or_default();
                format!("{origin}{METADATA_PATH}{prefix}{SESSIONS_PATH}")
            }
        }
    }
}

/// Returns the handle in `/s/<handle>/mcp`.
fn session_in_path(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(SESSIONS_PATH)?.strip_prefix('/')?;
    let handle = rest.strip_suffix('/').unwrap_or(rest).strip_suffix(MCP_PATH)?;
    (!handle.is_empty() && !handle.contains('/')).then_some(handle)
}

fn has_port(authority: &str) -> bool {
    let after_address = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    after_address.contains(':')
}

/// Returns the text of a header that occurs exactly once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        headers.extend(origin.map(|origin| (ORIGIN, origin.parse().unwrap())));
        headers
    }

    fn loopback_site() -> Site {
        let mut site = Site::default();
        site.add_listener("127.0.0.1:7070".parse().unwrap(), false);
        site
    }

    #[test]
    fn site_own_names_are_allowed() {
        let mut site = loopback_site();
        site.allow_host("gateway.internal");
        for (host, origin) in [
            ("127.0.0.1:7070", None),
            ("LOCALHOST:7070", Some("http://localhost:7070")),
            ("gateway.internal", None),
            ("gateway.internal:8443", None),
        ] {
            assert!(site.is_allowed(&request(host, origin)), "{host} {origin:?}");
        }
    }

    #[test]
    fn site_foreign_names_are_refused() {
        let site = loopback_site();
        for (host, origin) in [
            ("evil.example", None),
            ("127.0.0.1:7071", None),
            ("127.0.0.1", None),
            ("localhost.evil.example:7070", None),
            ("127.0.0.1:7070", Some("http://evil.example")),
            ("127.0.0.1:7070", Some("https://127.0.0.1:7070")),
            ("127.0.0.1:7070", Some("null")),
            ("127.0.0.1:7070", Some("")),
        ] {
            assert!(!site.is_allowed(&request(host, origin)), "{host} {origin:?}");
        }
        assert!(!site.is_allowed(&HeaderMap::new()));
        let mut twice = request("127.0.0.1:7070", None);
        twice.append(HOST, "evil.example".parse().unwrap());
        assert!(!site.is_allowed(&twice));
    }

    #[test]
    fn site_metadata_paths_follow_public_url() {
        let mut site = Site::default();
        site.set_public_url("https://mcp.example.com/aws/mcp/").unwrap();
        assert_eq!(site.resource(Resource::Endpoint), "https://mcp.example.com/aws/mcp");
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/aws/mcp";
        assert_eq!(site.metadata_url(Resource::Endpoint), metadata);
        for path in [METADATA_PATH, "/.well-known/oauth-protected-resource/aws/mcp"] {
            assert_eq!(site.route(path), Route::ResourceMetadata(Resource::Endpoint), "{path}");
        }
        for path in ["/", "/mcp/x", "/mcpx", "/.well-known/oauth-protected-resource/other"] {
            assert_eq!(site.route(path), Route::Unknown, "{path}");
        }
        assert!(site.is_allowed(&request("mcp.example.com", Some("https://mcp.example.com"))));
    }

    #[test]
    fn site_unusable_public_url_is_refused() {
        for url in [
            "mcp.example.com/mcp",
            "http://mcp.example.com/mcp",
            "https://mcp.example.com/mcp?a=b",
            "https://mcp.example.com/mcp#a",
            "https://user@mcp.example.com/mcp",
            "",
        ] {
            assert!(Site::default().set_public_url(url).is_err(), "{url}");
        }
    }
}
