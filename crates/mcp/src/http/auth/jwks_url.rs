//! `JwksUrl`: fetches the key set of an issuer over HTTPS.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use valetkey_core::{Error, ErrorKind, Result};

use super::JwksSource;
use crate::https_client::{HttpsClient, is_loopback};

/// The maximum size of a key set, in bytes.
const MAX_DOCUMENT_SIZE: usize = 1024 * 1024;

/// The key set at a URL. The server's certificate must be trusted by the machine. Redirects are not followed.
///
/// The request goes through the proxy of `HTTPS_PROXY` or `ALL_PROXY` unless `NO_PROXY` excepts its host. The proxy sees
/// no more than the host: the connection through it is encrypted. A loopback address is always reached directly.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::JwksUrl;
///
/// let keys = JwksUrl::new("https://login.example.com/.well-known/jwks.json")?;
/// # drop(keys);
/// # Ok::<(), valetkey_core::Error>(())
/// ```
pub struct JwksUrl {
    url: Uri,
    client: HttpsClient,
}

impl JwksUrl {
    /// Creates a source of the document at `url`. Sends no request.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::http::JwksUrl;
    ///
    /// // An attacker who can change the document could sign tokens for every principal.
    /// let error = JwksUrl::new("http://login.example.com/jwks.json").unwrap_err();
    /// assert_eq!(error.field(), Some("jwks_url"));
    /// assert!(JwksUrl::new("http://127.0.0.1:8080/jwks.json").is_ok());
    /// ```
    ///
    /// # Errors
    /// `Invalid` when it is not an `https` URL (`http` on a loopback address). `Internal` when the certificates that the
    /// machine trusts cannot be read.
    pub fn new(url: &str) -> Result<Self> {
        Self::with_proxies(url, &Matcher::from_env())
    }

    fn with_proxies(url: &str, proxies: &Matcher) -> Result<Self> {
        let invalid = || {
            Error::invalid("jwks_url", "must be an `https` URL")
                .with_next_step("take `jwks_uri` from the metadata of the issuer")
        };
        let url: Uri = url.parse().map_err(|_| invalid())?;
        match url.scheme_str() {
            Some("https") if url.host().is_some() => {}
            Some("http") if is_loopback(&url) => {}
            _ => return Err(invalid()),
        }
        let client = HttpsClient::new(&url, proxies)?;
        Ok(Self { url, client })
    }
}

#[async_trait]
impl JwksSource for JwksUrl {
    async fn fetch(&self) -> Result<Vec<u8>> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.url.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.client.send(request).await;
        let response =
            response.map_err(|error| unavailable("the issuer cannot be reached").with_source(error))?;
        if response.status() != StatusCode::OK {
            return Err(unavailable("the issuer has refused to send its keys"));
        }
        match Limited::new(response.into_body(), MAX_DOCUMENT_SIZE).collect().await {
            Ok(document) => Ok(document.to_bytes().to_vec()),
            Err(error) => {
                Err(unavailable("the keys of the issuer cannot be read").with_source(Unreadable(error)))
            }
        }
    }
}

fn unavailable(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

/// Why a body could not be read.
#[derive(Debug)]
struct Unreadable(Box<dyn StdError + Send + Sync>);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Unreadable {}

impl fmt::Debug for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksUrl").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Fetches from a server that sends this response.
    async fn fetch(response: String) -> Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /keys HTTP/1.1"));
            let _refused = stream.write_all(response.as_bytes()).await;
        });
        JwksUrl::new(&url).unwrap().fetch().await
    }

    #[tokio::test]
    async fn jwks_url_returns_document_or_unavailable() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}";
        assert_eq!(fetch(ok.to_owned()).await.unwrap(), br#"{"keys":[]}"#);
        for refused in [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"keys\":[]}".to_owned(),
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "a".repeat(MAX_DOCUMENT_SIZE + 1)),
            "not http".to_owned(),
        ] {
            assert_eq!(fetch(refused).await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }

    #[tokio::test]
    async fn jwks_url_uses_proxy_unless_excepted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://user:pass@{}", listener.local_addr().unwrap());
        let proxies = |excepted: &str| Matcher::builder().https(proxy.clone()).no(excepted).build();
        let url = "https://login.example.com/keys";
        let refuse = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&request[..length]).to_ascii_lowercase()
        };
        let keys = JwksUrl::with_proxies(url, &proxies("")).unwrap();
        let (fetched, request) = tokio::join!(keys.fetch(), refuse);
        assert_eq!(fetched.unwrap_err().kind(), ErrorKind::Unavailable, "the proxy refuses");
        assert!(request.starts_with("connect login.example.com:443 http/1.1\r\n"), "{request}");
        assert!(request.contains("proxy-authorization: basic dxnlcjpwyxnz"), "{request}");
        assert!(!request.contains("/keys"), "the path is encrypted: {request}");

        for (url, excepted) in [(url, "example.com"), ("https://127.0.0.1:1/keys", "")] {
            let keys = JwksUrl::with_proxies(url, &proxies(excepted)).unwrap();
            assert!(matches!(keys.client, HttpsClient::Direct(_)), "{url}");
        }
    }

    #[test]
    fn jwks_url_without_encryption_is_invalid() {
        for url in ["http://login.example.com/keys", "ftp://127.0.0.1/keys", "/keys", "https://", ""] {
            assert_eq!(JwksUrl::new(url).unwrap_err().kind(), ErrorKind::Invalid, "{url}");
        }
    }
}
