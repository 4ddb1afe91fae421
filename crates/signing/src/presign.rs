//! `PresignRequest`: URLs that permit one request for an object of S3, for a limited time.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest};
use http::{Method, Request, Uri};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Credentials, Error, ErrorKind, Region, Result, SessionAccount};

use crate::proxy::ProxySettings;
use crate::routes::{Route, Routes};
use crate::signature::{ENCODED_IN_PATH, Scope, presign_query, unsignable};

/// The longest lifetime that S3 accepts: seven days.
const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The name in the audit records.
const HOLDER: &str = "presign";

/// The address of an object: `s3://bucket/key`.
///
/// # Examples
/// ```
/// use valetkey_signing::S3Object;
///
/// let object: S3Object = "s3://reports/2026/november.pdf".parse()?;
/// assert_eq!((object.bucket(), object.key()), ("reports", "2026/november.pdf"));
/// assert!("s3://reports".parse::<S3Object>().is_err());
/// # Ok::<(), valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Object {
    bucket: String,
    key: String,
}

impl S3Object {
    /// Returns the name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the key, without a leading `/`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for S3Object {
    type Err = Error;

    /// Parses an address.
    ///
    /// # Errors
    /// `Invalid` for another form, for a name that no bucket can have, and for a directory bucket, whose requests need
    /// sessions of their own.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |rule| Error::invalid("object", rule);
        let address = text.strip_prefix("s3://").and_then(|address| address.split_once('/'));
        let (bucket, key) = address
            .filter(|(_, key)| !key.is_empty() && key.len() <= 1024)
            .ok_or_else(|| invalid("must be an address such as `s3://bucket/key`"))?;
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
            && !bucket.starts_with(['.', '-'])
            && !bucket.ends_with(['.', '-']);
        if !is_bucket {
            return Err(invalid(
                "must have the name of a bucket: 3 to 63 lowercase letters, digits, `-` and `.`",
            ));
        }
        if bucket.ends_with("--x-s3") {
            return Err(invalid("must not be in a directory bucket, which valetkey does not support"));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

/// A request for an object that a URL is to permit.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use valetkey_core::{Credentials, SessionContext};
/// use valetkey_signing::{PresignRequest, ProxySettings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// let session = SessionContext::builder().region("eu-west-1".parse()?).build();
/// let key = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into());
/// session.set_credentials(key.build()?)?;
/// let account = session.account(session.default_account())?;
///
/// let request = PresignRequest::download("s3://reports/november.pdf".parse()?).lifetime(Duration::from_secs(60));
/// let presigned = request.sign(&account, &ProxySettings::default()).await?;
/// assert!(presigned.expose_url().starts_with("https://reports.s3.eu-west-1.amazonaws.com/november.pdf?"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PresignRequest {
    method: Method,
    object: S3Object,
    lifetime: Duration,
    region: Option<Region>,
}

impl PresignRequest {
    /// Permits to download the object, for 15 minutes.
    #[must_use]
    pub fn download(object: S3Object) -> Self {
        Self { method: Method::GET, object, lifetime: Duration::from_secs(15 * 60), region: None }
    }

    /// Permits to upload the object, for 15 minutes.
    #[must_use]
    pub fn upload(object: S3Object) -> Self {
        Self { method: Method::PUT, ..Self::download(object) }
    }

    /// Sets the lifetime, which the credentials' own expiry may shorten. At most seven days.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the region of the bucket (default: that of the account).
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Signs a URL with the current credentials of `account`, for the host that `settings` select. The account records it
    /// as `serve`, or as `deny` without credentials.
    ///
    /// S3 accepts no URL longer than the credentials that signed it, so its lifetime ends with them. Clearing the session
    /// does not revoke it; see [`RevocationPolicy`](valetkey_core::RevocationPolicy).
    ///
    /// # Errors
    /// The error of the account if it has no credentials; `Invalid` for a lifetime over seven days or a region without S3.
    ///
    /// # Cancel safety
    /// Dropping the future creates no URL.
    pub async fn sign(&self, account: &SessionAccount, settings: &ProxySettings) -> Result<PresignedUrl> {
        if self.lifetime.is_zero() || self.lifetime > MAX_LIFETIME {
            return Err(Error::invalid("expires", "must be between one second and seven days"));
        }
        let routes = Routes::new()?;
        let region = self.region.clone().unwrap_or_else(|| account.resolved_region());
        let route = routes
            .find("s3", region.as_str(), Some("s3"), settings.variant)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()).with_field("region"))?;
        let credentials = account
            .credentials()
            .await
            .inspect_err(|error| account.audit(AuditEvent::Deny, HOLDER, Some(error)))?;
        let presigned = self.sign_with(&credentials, &route, settings)?;
        account.audit(AuditEvent::Serve, HOLDER, None);
        Ok(presigned)
    }

    fn sign_with(
        &self,
        credentials: &Credentials,
        route: &Route<'_>,
        settings: &ProxySettings,
    ) -> Result<PresignedUrl> {
        let now = settings.clock.now();
        let remaining = credentials.expiry().remaining(now).unwrap_or(MAX_LIFETIME);
        // S3 counts whole seconds.
        let lifetime = Duration::from_secs(self.lifetime.min(remaining).as_secs());
        if lifetime.is_zero() {
            return Err(Error::new(ErrorKind::Expired, "the credentials expire now"));
        }
        let uri = self.url(route, settings).ok_or_else(|| unsignable().to_error())?;
        let signable = SignableRequest::new(
            self.method.as_str(),
            uri.to_string(),
            std::iter::empty(),
            SignableBody::UnsignedPayload,
        );
        let signable = signable.map_err(|_| unsignable().to_error())?;
        let scope = Scope { region: route.signing_region(), signing_name: "s3", time: now };
        let instructions = presign_query(signable, &credentials.expose_to_sdk(), scope, lifetime)
            .map_err(|refusal| refusal.to_error())?;
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        instructions.apply_to_request_http1x(&mut request);
        Ok(PresignedUrl { url: request.uri().to_string().into(), expires_at: now + lifetime })
    }

    /// Returns the URL without a signature. A host of AWS has the bucket in its name, unless the certificate would not match.
    fn url(&self, route: &Route<'_>, settings: &ProxySettings) -> Option<Uri> {
        let S3Object { bucket, key } = &self.object;
        let key = utf8_percent_encode(key, ENCODED_IN_PATH);
        let uri = settings.upstream(route, &format!("/{bucket}/{key}"))?;
        if uri.host() != Some(route.host()) || bucket.contains('.') {
            return Some(uri);
        }
        let authority = format!("{bucket}.{}", route.host());
        Uri::builder().scheme("https").authority(authority).path_and_query(format!("/{key}")).build().ok()
    }
}

/// A URL that permits one request. Every program that has it can send the request until it expires, so it has no
/// `Display`.
pub struct PresignedUrl {
    url: SecretString,
    expires_at: SystemTime,
}

impl PresignedUrl {
    /// Returns the URL, which is a secret.
    #[must_use]
    pub fn expose_url(&self) -> &str {
        self.url.expose_secret()
    }

    /// Returns the time from which on S3 refuses the URL.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

/// Hides the URL.
impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedUrl").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use valetkey_core::testing::CapturedLogs;
    use valetkey_core::{Clock, Expiry, SystemClock};

    use super::*;
    use crate::routes::EndpointVariant;

    fn presign(object: &str, settings: &ProxySettings, expiry: Expiry) -> Result<PresignedUrl> {
        let credentials = Credentials::builder("ASIAIOSFODNN7EXAMPLE".parse().unwrap(), "secret".into())
            .session_token(Some("token/+".into()))
            .expiry(expiry)
            .build()
            .unwrap();
        let routes = Routes::new().unwrap();
        let route = routes.find("s3", "eu-west-1", Some("s3"), EndpointVariant::Standard).unwrap();
        let request = PresignRequest::download(object.parse()?).lifetime(Duration::from_secs(3600));
        request.sign_with(&credentials, &route, settings)
    }

    #[test]
    fn presigned_url_has_bucket_in_host_unless_it_has_dots() {
        let (aws, emulator) =
            (ProxySettings::default(), ProxySettings::default().endpoint("http://127.0.0.1:5000").unwrap());
        for (object, settings, expected) in [
            (
                "s3://reports/a b/ü+?.pdf",
                &aws,
                "https://reports.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B%3F.pdf?",
            ),
            ("s3://re.ports/a", &aws, "https://s3.eu-west-1.amazonaws.com/re.ports/a?"),
            ("s3://reports/a", &emulator, "http://127.0.0.1:5000/reports/a?"),
        ] {
            let presigned = presign(object, settings, Expiry::Never).unwrap();
            let url = presigned.expose_url();
            assert!(url.starts_with(expected), "{url}");
            for parameter in
                ["X-Amz-Expires=3600", "X-Amz-Security-Token=token%2F%2B", "X-Amz-SignedHeaders=host"]
            {
                assert!(url.contains(parameter), "{parameter}: {url}");
            }
            assert!(!format!("{presigned:?}").contains("X-Amz"));
        }
    }

    #[test]
    fn presigned_token_is_in_no_log() {
        let logs = CapturedLogs::default();
        let presigned = tracing::subscriber::with_default(logs.subscriber(), || {
            tracing::trace!("before");
            presign("s3://reports/a", &ProxySettings::default(), Expiry::Never).unwrap()
        });
        assert!(presigned.expose_url().contains("token%2F%2B"));
        let text = logs.text();
        assert!(text.contains("before") && !text.contains("token"), "{text}");
    }

    #[test]
    fn presigned_url_expires_with_its_credentials() {
        let now = SystemClock.now();
        let settings = ProxySettings::default();
        let expiry = now + Duration::from_secs(100);
        let presigned = presign("s3://reports/a", &settings, Expiry::At(expiry)).unwrap();
        assert!(presigned.expires_at() <= expiry && !presigned.expose_url().contains("X-Amz-Expires=3600"));
        let expired = presign("s3://reports/a", &settings, Expiry::At(now)).unwrap_err();
        assert_eq!(expired.kind(), ErrorKind::Expired);
    }

    #[test]
    fn s3_object_of_other_form_is_invalid() {
        for text in [
            "",
            "s3://",
            "s3://b/k",
            "s3://bucket/",
            "s3://Bucket/k",
            "s3://a@b.c/k",
            "s3://buc--x-s3/k",
            "bucket/k",
        ] {
            assert_eq!(text.parse::<S3Object>().unwrap_err().kind(), ErrorKind::Invalid, "{text}");
        }
    }
}
