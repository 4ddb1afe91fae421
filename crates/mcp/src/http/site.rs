//! `Site`: the addresses under which clients reach the gateway, and the checks of `Host` and `Origin`.
//!
//! A page in a browser can send requests to a loopback address under a name of its own (DNS rebinding). Such a request
//! has the page's name in `Host` or `Origin`, and is refused before anything else is read.

use std::net::SocketAddr;

use hyper::Uri;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use valetkey_core::{Error, Result};

/// The path of the MCP endpoint.
pub(super) const MCP_PATH: &str = "/mcp";
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
pub(super) enum Route {
    Mcp,
    ResourceMetadata,
    Unknown,
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
        let is_loopback = matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]");
        if url.contains('#') || authority.as_str().contains('@') {
            return Err(invalid());
        }
        if scheme != "https" && !(scheme == "http" && is_loopback) {
            return Err(invalid());
        }
        let origin = format!("{scheme}://{}", authority.as_str().to_ascii_lowercase());
        self.allow_host(authority.as_str());
        self.allow_origin(&origin);
        self.public_url = Some(PublicUrl { origin, path: uri.path().trim_end_matches('/').to_owned() });
        Ok(())
    }

    /// Adds the names of a loopback listener.
    pub(super) fn add_listener(&mut self, address: SocketAddr) {
        let port = address.port();
        for host in [address.to_string(), format!("localhost:{port}")] {
            self.allow_origin(&format!("http://{host}"));
            self.allow_host(&host);
        }
        if self.public_url.is_none() {
            let origin = format!("http://{address}");
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

    pub(super) fn route(&self, path: &str) -> Route {
        if matches!(path, "/mcp" | "/mcp/") {
            return Route::Mcp;
        }
        let own_path = self.public_url.as_ref().map_or(MCP_PATH, |url| url.path.as_str());
        match path.strip_prefix(METADATA_PATH) {
            Some("" | "/" | MCP_PATH) => Route::ResourceMetadata,
            Some(rest) if rest == own_path => Route::ResourceMetadata,
            _ => Route::Unknown,
        }
    }

    /// Returns the URL of the MCP endpoint, without a slash at its end: some clients refuse one.
    pub(super) fn resource(&self) -> String {
        self.public_url.as_ref().map(|url| format!("{}{}", url.origin, url.path)).unwrap_or_default()
    }

    /// Returns the URL of the metadata of the MCP endpoint.
    pub(super) fn metadata_url(&self) -> String {
        let url = self.public_url.as_ref();
        url.map(|url| format!("{}{METADATA_PATH}{}", url.origin, url.path)).unwrap_or_default()
    }
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
        site.add_listener("127.0.0.1:7070".parse().unwrap());
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
        assert_eq!(site.resource(), "https://mcp.example.com/aws/mcp");
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/aws/mcp";
        assert_eq!(site.metadata_url(), metadata);
        for path in [METADATA_PATH, "/.well-known/oauth-protected-resource/aws/mcp"] {
            assert_eq!(site.route(path), Route::ResourceMetadata, "{path}");
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
