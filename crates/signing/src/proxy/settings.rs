//! `ProxySettings`: the clock, the kind of endpoints, and endpoints that replace those of AWS.

use std::collections::HashMap;
use std::sync::Arc;

use http::Uri;
use valetkey_core::{Clock, Error, Result, SystemClock};

use crate::routes::{EndpointVariant, Route};

/// Determines where a [`SigningProxy`](super::SigningProxy) sends requests, and by which clock it verifies them.
///
/// # Examples
/// ```
/// use valetkey_signing::ProxySettings;
///
/// // A VPC endpoint for one service, AWS's own endpoints for all others.
/// let settings = ProxySettings::default().service_endpoint("sqs", "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com")?;
/// assert!(settings.endpoint("ftp://example.com").is_err());
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProxySettings {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) variant: EndpointVariant,
    endpoint: Option<Uri>,
    service_endpoints: HashMap<String, Uri>,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            variant: EndpointVariant::Standard,
            endpoint: None,
            service_endpoints: HashMap::new(),
        }
    }
}

impl ProxySettings {
    /// Uses another clock than the machine's, to verify and to sign. Give the proxy the clock of its sessions.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_signing::ProxySettings;
    ///
    /// let session = SessionContext::builder().build();
    /// let settings = ProxySettings::default().clock(session.clock());
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Selects FIPS or dual-stack endpoints. A service without such an endpoint in a region is refused.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::ProxySettings;
    /// use valetkey_signing::routes::EndpointVariant;
    ///
    /// let settings = ProxySettings::default().variant(EndpointVariant::DualStack);
    /// ```
    #[must_use]
    pub fn variant(mut self, variant: EndpointVariant) -> Self {
        self.variant = variant;
        self
    }

    /// Sends the requests of all services to this URL, such as that of an emulator.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::ProxySettings;
    ///
    /// let settings = ProxySettings::default().endpoint("http://127.0.0.1:5000")?;
    /// let error = ProxySettings::default().endpoint("http://127.0.0.1:5000/path").unwrap_err();
    /// assert_eq!(error.field(), Some("endpoint_url"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    /// # Errors
    /// `Invalid` for a URL that is not `http` or `https`, or that has a path.
    pub fn endpoint(mut self, url: &str) -> Result<Self> {
        self.endpoint = Some(parse_endpoint(url)?);
        Ok(self)
    }

    /// Sends the requests of one service, by its name in the [table](crate::routes), to this URL.
    ///
    /// # Errors
    /// As [`endpoint`](Self::endpoint).
    pub fn service_endpoint(mut self, service: impl Into<String>, url: &str) -> Result<Self> {
        self.service_endpoints.insert(service.into(), parse_endpoint(url)?);
        Ok(self)
    }

    /// Returns scheme and authority that a request goes to, and the path that follows.
    pub(super) fn upstream(&self, route: &Route<'_>, path: &str) -> Option<Uri> {
        let endpoint = self.service_endpoints.get(route.service().name()).or(self.endpoint.as_ref());
        let (scheme, authority) = match endpoint {
            Some(url) => (url.scheme_str()?, url.authority()?.as_str()),
            None => ("https", route.host()),
        };
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
    }
}

fn parse_endpoint(url: &str) -> Result<Uri> {
    let invalid = || Error::invalid("endpoint_url", "must be an `http` or `https` URL without a path");
    let parsed: Uri = url.parse().map_err(|_| invalid())?;
    let is_valid = matches!(parsed.scheme_str(), Some("http" | "https"))
        && parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && matches!(parsed.path(), "" | "/")
        && parsed.query().is_none();
    if is_valid { Ok(parsed) } else { Err(invalid()) }
}
