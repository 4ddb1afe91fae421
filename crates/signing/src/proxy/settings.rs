//! `ProxySettings`: the clock, the kind of endpoints, and endpoints that replace those of AWS.

use std::collections::HashMap;
use std::sync::Arc;

use http::Uri;
use secrecy::SecretString;
use valetkey_core::{Clock, Error, Result, SystemClock};

use crate::routes::{EndpointVariant, Route, Routes};

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
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) variant: EndpointVariant,
    endpoint: Option<Uri>,
    service_endpoints: HashMap<String, Uri>,
    pub(crate) https_proxy: Option<HttpsProxy>,
}

/// An HTTP proxy for requests to `https` endpoints. Its URL may contain a password.
#[derive(Debug, Clone)]
pub(crate) struct HttpsProxy {
    pub(crate) url: SecretString,
    /// The hosts that are reached directly, as `NO_PROXY` lists them.
    pub(crate) exceptions: String,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            variant: EndpointVariant::Standard,
            endpoint: None,
            service_endpoints: HashMap::new(),
            https_proxy: None,
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
        self.endpoint = Some(parse_endpoint("endpoint_url", url)?);
        Ok(self)
    }

    /// Sends the requests of one service, by its name in the [table](crate::routes), to this URL.
    ///
    /// # Errors
    /// As [`endpoint`](Self::endpoint).
    pub fn service_endpoint(mut self, service: impl Into<String>, url: &str) -> Result<Self> {
        self.service_endpoints.insert(service.into(), parse_endpoint("endpoint_url", url)?);
        Ok(self)
    }

    /// Reaches `https` endpoints through an HTTP proxy, by `CONNECT`: it sees the host and no more. `exceptions` lists the
    /// hosts that are reached directly, as the variable `NO_PROXY` does; loopback addresses and `http` endpoints always
    /// are.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::ProxySettings;
    ///
    /// let settings = ProxySettings::default().https_proxy("http://proxy.example:3128", "vpce.amazonaws.com")?;
    /// assert!(settings.https_proxy("socks5://proxy.example", "").is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    /// # Errors
    /// `Invalid` for a URL that is not `http` or `https`.
    pub fn https_proxy(mut self, url: &str, exceptions: impl Into<String>) -> Result<Self> {
        self.https_proxy = Some(HttpsProxy::parse("https_proxy", url, exceptions.into())?);
        Ok(self)
    }

    /// Applies the variables with which AWS SDKs select endpoints: `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_<SERVICE>`,
    /// `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` and `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`; and those that
    /// select the proxy to reach them: `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, of which the spelling in lower case takes
    /// precedence. Other variables have no effect.
    ///
    /// Give it the environment of the host, so that requests go where they would go without the proxy.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::ProxySettings;
    ///
    /// let settings = ProxySettings::default().variables([("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")])?;
    /// let error = ProxySettings::default().variables([("AWS_ENDPOINT_URL", "ftp://127.0.0.1")]).unwrap_err();
    /// assert_eq!(error.field(), Some("AWS_ENDPOINT_URL"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    /// # Errors
    /// `Invalid`, with the variable as field, for a URL that [`endpoint`](Self::endpoint) or
    /// [`https_proxy`](Self::https_proxy) does not accept.
    pub fn variables<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let variables: HashMap<_, _> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let is_true = |name| variables.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        self.variant = match (is_true("AWS_USE_FIPS_ENDPOINT"), is_true("AWS_USE_DUALSTACK_ENDPOINT")) {
            (false, false) => self.variant,
            (true, false) => EndpointVariant::Fips,
            (false, true) => EndpointVariant::DualStack,
            (true, true) => EndpointVariant::FipsDualStack,
        };
        let exceptions = ["no_proxy", "NO_PROXY"].iter().find_map(|name| variables.get(name));
        let proxy = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
            .iter()
            .find_map(|name| Some((*name, *variables.get(name)?)));
        if let Some((name, url)) = proxy {
            let exceptions = exceptions.copied().unwrap_or_default().to_owned();
            self.https_proxy = Some(HttpsProxy::parse(name, url, exceptions)?);
        }
        if is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return Ok(self);
        }
        if let Some(url) = variables.get("AWS_ENDPOINT_URL") {
            self.endpoint = Some(parse_endpoint("AWS_ENDPOINT_URL", url)?);
        }
        let of_services: Vec<_> = variables
            .iter()
            .filter_map(|(name, url)| Some((*name, name.strip_prefix("AWS_ENDPOINT_URL_")?, *url)))
            .collect();
        if of_services.is_empty() {
            return Ok(self);
        }
        let routes = Routes::new()?;
        for (name, suffix, url) in of_services {
            let service = routes.services().find(|service| service.variable_suffix() == suffix);
            if let Some(service) = service {
                self.service_endpoints.insert(service.name().to_owned(), parse_endpoint(name, url)?);
            }
        }
        Ok(self)
    }

    /// Returns scheme and authority that a request goes to, and the path that follows.
    pub(crate) fn upstream(&self, route: &Route<'_>, path: &str) -> Option<Uri> {
        let endpoint = self.service_endpoints.get(route.service().name()).or(self.endpoint.as_ref());
        let (scheme, authority) = match endpoint {
            Some(url) => (url.scheme_str()?, url.authority()?.as_str()),
            None => ("https", route.host()),
        };
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
    }
}

impl HttpsProxy {
    /// `field` names the source of the URL. A URL without a scheme is that of an HTTP proxy.
    fn parse(field: &str, url: &str, exceptions: String) -> Result<Self> {
        let invalid = || Error::invalid(field.to_owned(), "must be the `http` or `https` URL of a proxy");
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let parsed: Uri = url.parse().map_err(|_| invalid())?;
        let is_valid = matches!(parsed.scheme_str(), Some("http" | "https")) && parsed.host().is_some();
        if is_valid { Ok(Self { url: url.into(), exceptions }) } else { Err(invalid()) }
    }
}

fn parse_endpoint(field: &str, url: &str) -> Result<Uri> {
    let invalid = || Error::invalid(field.to_owned(), "must be an `http` or `https` URL without a path");
    let parsed: Uri = url.parse().map_err(|_| invalid())?;
    let is_valid = matches!(parsed.scheme_str(), Some("http" | "https"))
        && parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && matches!(parsed.path(), "" | "/")
        && parsed.query().is_none();
    if is_valid { Ok(parsed) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> ProxySettings {
        ProxySettings::default().variables(variables.iter().copied()).unwrap()
    }

    fn upstream(settings: &ProxySettings, service: &str) -> String {
        let routes = Routes::new().unwrap();
        let route = routes.find(service, "eu-west-1", Some(service), settings.variant).unwrap();
        settings.upstream(&route, "/").unwrap().to_string()
    }

    #[test]
    fn variables_of_service_take_precedence() {
        let settings = settings(&[
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:2"),
            ("AWS_ENDPOINT_URL_TELEPATHY", "nonsense"),
            ("AWS_ENDPOINT_URL_S3", ""),
        ]);
        assert_eq!(upstream(&settings, "sqs"), "http://127.0.0.1:2/");
        assert_eq!(upstream(&settings, "s3"), "http://127.0.0.1:1/");
    }

    #[test]
    fn variables_select_fips_and_ignore_endpoints() {
        let settings = settings(&[
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE"),
        ]);
        assert_eq!(settings.variant, EndpointVariant::Fips);
        let routes = Routes::new().unwrap();
        let route = routes.find("sqs", "us-east-1", None, settings.variant).unwrap();
        assert_eq!(settings.upstream(&route, "/").unwrap(), "https://sqs-fips.us-east-1.amazonaws.com/");
    }
}
