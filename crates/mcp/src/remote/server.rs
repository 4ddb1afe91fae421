//! `RemoteServer`: the address of a remote server, and what each request to it carries.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::client::proxy::matcher::Matcher;
use valetkey_core::{Clock, Error, Result, SessionAccount};
use valetkey_signing::RequestSigner;

use super::RemoteUrl;
use crate::Redactor;
use crate::child::{Delivery, HostEnvironment};
use crate::config::{ServerConfig, parse_header_name};
use crate::https_client::HttpsClient;

/// A server and what its requests carry.
pub(crate) struct RemoteServer {
    pub(super) url: RemoteUrl,
    pub(super) client: HttpsClient,
    /// The headers of the configuration.
    pub(super) headers: HeaderMap,
    /// Signs each request, with `credentials = "sigv4"`.
    pub(super) signer: Option<RequestSigner>,
    /// Masks what the server repeats of its requests.
    pub(super) redactor: Arc<Redactor>,
}

/// Masks the secrets in the headers. They are those of the configuration, and outlive the connection.
fn mask_secrets(headers: &HeaderMap, redactor: &Redactor) {
    let secret = headers.iter().filter(|(name, _)| is_secret_header(name));
    for text in secret.filter_map(|(_, value)| value.to_str().ok()) {
        redactor.add_secret(text);
        // A token is also masked without its scheme.
        if let Some((_, token)) = text.split_once(' ') {
            redactor.add_secret(token.trim());
        }
    }
}

fn is_secret_header(name: &HeaderName) -> bool {
    ["auth", "cookie", "credential", "key", "secret", "token"].iter().any(|word| name.as_str().contains(word))
}

/// What a remote server is described by.
pub(crate) struct RemoteSettings<'a> {
    pub(crate) name: &'a str,
    pub(crate) config: &'a ServerConfig,
    pub(crate) account: &'a SessionAccount,
    /// Names the proxy for requests.
    pub(crate) environment: &'a HostEnvironment,
    /// Dates signatures.
    pub(crate) clock: Arc<dyn Clock>,
}

impl RemoteServer {
    /// Reads the configuration of a remote server. `expand` expands the references in a text of a field.
    pub(crate) fn new(
        settings: RemoteSettings<'_>,
        expand: impl Fn(&str, &str) -> Result<String>,
        redactor: &Arc<Redactor>,
    ) -> Result<Self> {
        let config = settings.config;
        let url = RemoteUrl::parse(&expand("url", config.url.as_deref().unwrap_or_default())?)?;
        let mut headers = HeaderMap::new();
        for (header, value) in &config.headers {
            let field = format!("headers.{header}");
            let (name, value) = (parse_header_name(header)?, expand(&field, value)?);
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| Error::invalid(field, "must be text of one line"))?;
            value.set_sensitive(is_secret_header(&name));
            headers.insert(name, value);
        }
        let client = HttpsClient::new(url.uri(), &proxies(settings.environment))?;
        let signer = match config.delivery {
            Delivery::SigV4 => Some(settings.signer(&url)?),
            _ => None,
        };
        mask_secrets(&headers, redactor);
        Ok(Self { url, client, headers, signer, redactor: Arc::clone(redactor) })
    }
}

impl RemoteSettings<'_> {
    fn signer(self, url: &RemoteUrl) -> Result<RequestSigner> {
        let (service, region) = self.config.signing_scope(url)?;
        let signer = RequestSigner::new(self.account.clone(), self.name, service, region.to_string());
        Ok(signer.clock(self.clock))
    }
}

/// Returns the proxies in the environment that children inherit.
fn proxies(environment: &HostEnvironment) -> Matcher {
    let either = |upper: &str, lower: &str| {
        environment.inherited(lower).or_else(|| environment.inherited(upper)).unwrap_or_default().to_owned()
    };
    Matcher::builder()
        .https(either("HTTPS_PROXY", "https_proxy"))
        .all(either("ALL_PROXY", "all_proxy"))
        .no(either("NO_PROXY", "no_proxy"))
        .build()
}
