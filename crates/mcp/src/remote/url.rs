//! `RemoteUrl`: the address of a remote server, and the service and region that AWS servers have in their host names.

use std::fmt;

use hyper::Uri;
use valetkey_core::{Error, Region, Result};

use crate::https_client::is_loopback;

/// The URL of a remote MCP server: `https`, or `http` on a loopback address.
///
/// Its `Debug` output has no query, which may contain a key.
///
/// # Examples
/// ```
/// use valetkey_mcp::config::RemoteUrl;
///
/// let url = RemoteUrl::parse("https://bedrock-agentcore.eu-west-1.amazonaws.com/runtimes/agent/invocations")?;
/// let (service, region) = url.signing_scope().unwrap();
/// assert_eq!((service.as_str(), region.as_str()), ("bedrock-agentcore", "eu-west-1"));
///
/// assert!(RemoteUrl::parse("http://tools.example.com/mcp").is_err());
/// # Ok::<(), valetkey_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl(Uri);

/// The ends of the names of AWS hosts. Before each stands the region, and before that the service.
const AWS_SUFFIXES: [&str; 4] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".on.aws"];

impl RemoteUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// `Invalid` for a URL without encryption to another machine, with a user name or a password, or without a host.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |rule: &'static str| Error::invalid("url", rule);
        let without_fragment = text.split('#').next().unwrap_or_default();
        let url: Uri = without_fragment.parse().map_err(|_| invalid("must be a URL, such as `https://…`"))?;
        let authority = url.authority().ok_or_else(|| invalid("must begin with `https://` and a host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("must not contain a user name or a password")
                .with_next_step("write an `Authorization` header into `headers`"));
        }
        match url.scheme_str() {
            Some("https") if !authority.host().is_empty() => Ok(Self(url)),
            Some("http") if is_loopback(&url) => Ok(Self(url)),
            _ => Err(invalid("must be an `https` URL; `http` is allowed on a loopback address only")),
        }
    }

    /// Returns the service and the region that requests are signed for, if the host is one of AWS and names them.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::config::RemoteUrl;
    ///
    /// let url = RemoteUrl::parse("https://aws-mcp.us-east-1.api.aws/mcp")?;
    /// assert_eq!(url.signing_scope().unwrap().0, "aws-mcp");
    /// assert!(RemoteUrl::parse("https://tools.example.com/mcp")?.signing_scope().is_none());
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn signing_scope(&self) -> Option<(String, Region)> {
        let host = self.host().to_ascii_lowercase();
        let name = AWS_SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix))?;
        let (rest, region) = name.rsplit_once('.')?;
        let service = rest.rsplit('.').next().filter(|service| !service.is_empty())?;
        // A name such as `s3.amazonaws.com` has no region.
        let region =
            region.parse().ok().filter(|_| region.bytes().filter(|&byte| byte == b'-').count() >= 2)?;
        let service = if service == "lambda-url" { "lambda" } else { service };
        Some((service.to_owned(), region))
    }

    pub(crate) fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

/// Shows no query.
impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.0.scheme_str().unwrap_or_default(), self.host(), self.0.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_scope_is_read_from_hosts_of_aws() {
        for (host, scope) in [
            ("bedrock-agentcore.us-west-2.amazonaws.com", Some("bedrock-agentcore us-west-2")),
            ("gw-1.gateway.bedrock-agentcore.eu-west-1.amazonaws.com", Some("bedrock-agentcore eu-west-1")),
            ("aws-mcp.us-east-1.api.aws", Some("aws-mcp us-east-1")),
            ("abc.lambda-url.eu-central-1.on.aws", Some("lambda eu-central-1")),
            ("abc.execute-api.cn-north-1.amazonaws.com.cn", Some("execute-api cn-north-1")),
            ("s3.amazonaws.com", None),
            ("amazonaws.com", None),
            ("us-east-1.amazonaws.com", None),
            ("aws-mcp.us-east-1.api.aws.example.com", None),
            ("tools.example.com", None),
        ] {
            let url = RemoteUrl::parse(&format!("https://{host}/mcp?key=secret")).unwrap();
            let found = url.signing_scope().map(|(service, region)| format!("{service} {region}"));
            assert_eq!(found.as_deref(), scope, "{host}");
            assert!(!format!("{url:?}").contains("secret"));
        }
    }

    #[test]
    fn remote_url_without_encryption_or_with_password_is_invalid() {
        for url in [
            "http://tools.example.com/mcp",
            "https://user:secret@tools.example.com/mcp",
            "ftp://127.0.0.1/",
            "/mcp",
            "tools.example.com",
            "https://",
            "",
            "http://127.0.0.1.example.com/",
        ] {
            let error = RemoteUrl::parse(url).unwrap_err();
            assert!(error.field() == Some("url") && !error.to_string().contains("secret"), "{url}");
        }
        for url in ["http://127.0.0.1:80/mcp", "http://localhost/", "http://[::1]:9/", "https://a.b/#c"] {
            assert!(RemoteUrl::parse(url).is_ok(), "{url}");
        }
    }
}
