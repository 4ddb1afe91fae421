//! Signature Version 4: parses the `Authorization` header and verifies the signature by computing it again.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use subtle::ConstantTimeEq;

use super::request::AwsService;
use super::response::{AwsError, ErrorCode};
use super::services::now;

pub(super) const TOKEN_HEADER: &str = "x-amz-security-token";
const DATE_HEADER: &str = "x-amz-date";
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// The content of an `Authorization` header.
pub(super) struct RequestSignature<'a> {
    pub(super) access_key_id: &'a str,
    scope_date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature_hex: &'a str,
}

impl<'a> RequestSignature<'a> {
    /// Parses the header. A request without the header is unauthenticated.
    pub(super) fn from_headers(headers: &'a HeaderMap) -> Result<Self, AwsError> {
        let header = headers.get(AUTHORIZATION).ok_or_else(|| {
            AwsError::new(ErrorCode::MissingToken, "Request is missing Authentication Token")
        })?;
        header.to_str().ok().and_then(Self::parse).ok_or_else(|| {
            AwsError::new(
                ErrorCode::IncompleteSignature,
                "The Authorization header is not 'AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…'.",
            )
        })
    }

    fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = scope[..] else {
            return None;
        };
        let signed_headers = field("SignedHeaders")?.split(';').collect();
        Some(Self {
            access_key_id,
            scope_date: day,
            region,
            service,
            signed_headers,
            signature_hex: field("Signature")?,
        })
    }

    /// Succeeds if the secret of `key` signed exactly this request, for this service, within the last 15 minutes.
    pub(super) fn verify(&self, parts: &Parts, body: &[u8], key: &Credentials) -> Result<(), AwsError> {
        let time = self.check_date(&parts.headers)?;
        self.check_scope(&parts.headers)?;
        let request = self.signable_request(parts, body)?;
        let mut settings = SigningSettings::default();
        // Sign exactly the headers that the client signed.
        settings.excluded_headers = None;
        let identity = key.clone().into();
        let params: SigningParams<'_> = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(time)
            .settings(settings)
            .build()
            .map_err(|_| signature_mismatch())?
            .into();
        let (_, expected) = sign(request, &params).map_err(|_| signature_mismatch())?.into_parts();
        if bool::from(expected.as_bytes().ct_eq(self.signature_hex.as_bytes())) {
            Ok(())
        } else {
            Err(signature_mismatch())
        }
    }

    fn check_date(&self, headers: &HeaderMap) -> Result<SystemTime, AwsError> {
        let date = headers
            .get(DATE_HEADER)
            .and_then(|date| date.to_str().ok())
            .and_then(parse_basic_date)
            .ok_or_else(|| {
                AwsError::new(ErrorCode::IncompleteSignature, "Date must be in ISO-8601 'basic format'.")
            })?;
        let (earliest, latest) = (now().checked_sub(MAX_CLOCK_SKEW), now().checked_add(MAX_CLOCK_SKEW));
        if earliest.is_some_and(|earliest| date < earliest) || latest.is_some_and(|latest| date > latest) {
            return Err(AwsError::new(
                ErrorCode::SignatureMismatch,
                "Signature not yet current, or expired: more than 15 min. off",
            ));
        }
        Ok(date)
    }

    fn check_scope(&self, headers: &HeaderMap) -> Result<(), AwsError> {
        let service = AwsService::from_headers(headers).signing_name();
        if self.service != service {
            let message = format!("Credential should be scoped to correct service: '{service}'.");
            return Err(AwsError::new(ErrorCode::SignatureMismatch, message));
        }
        let date = headers.get(DATE_HEADER).map(|date| date.as_bytes()).unwrap_or_default();
        if !date.starts_with(self.scope_date.as_bytes()) || self.scope_date.len() != 8 {
            return Err(AwsError::new(
                ErrorCode::SignatureMismatch,
                "Date in Credential scope does not match the date of the request.",
            ));
        }
        Ok(())
    }

    fn signable_request<'r>(
        &'r self,
        parts: &'r Parts,
        body: &'r [u8],
    ) -> Result<SignableRequest<'r>, AwsError> {
        let signed = |name: &str| self.signed_headers.contains(&name);
        let unsigned =
            parts.headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !signed(name.as_str()));
        if unsigned.is_some() || !signed("host") {
            return Err(AwsError::new(
                ErrorCode::SignatureMismatch,
                "'Host' and all 'X-Amz-*' headers must be signed.",
            ));
        }
        let mut headers = Vec::with_capacity(self.signed_headers.len());
        // The signer logs the headers that it receives. It adds the token itself, without logging it.
        for name in self.signed_headers.iter().filter(|name| **name != TOKEN_HEADER) {
            for value in parts.headers.get_all(*name) {
                headers.push((*name, value.to_str().map_err(|_| signature_mismatch())?));
            }
        }
        // The real host is among the signed headers; this host only completes the URI.
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("http://localhost{path}");
        SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), SignableBody::Bytes(body))
            .map_err(|_| signature_mismatch())
    }
}

fn signature_mismatch() -> AwsError {
    AwsError::new(
        ErrorCode::SignatureMismatch,
        "The request signature we calculated does not match the signature you provided. \
         Check your AWS Secret Access StoredKey and signing method.",
    )
}

/// Parses `20260131T235959Z`.
fn parse_basic_date(basic: &str) -> Option<SystemTime> {
    if basic.len() != 16 || !basic.is_ascii() {
        return None;
    }
    let (date, clock) = basic.strip_suffix('Z')?.split_once('T')?;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    let (hour, minute, second) = (clock.get(..2)?, clock.get(2..4)?, clock.get(4..)?);
    let extended = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    DateTime::from_str(&extended, Format::DateTime).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_basic_date_accepts_basic_format_only() {
        let epoch = parse_basic_date("19700101T000100Z")
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        assert_eq!(epoch, Some(Duration::from_secs(60)));
        for wrong in [
            "",
            "19700101T000100",
            "1970-01-01T00:01:00Z",
            "19701301T000100Z",
            "1970010T0000100Z",
            "ééééééééé",
        ] {
            assert!(parse_basic_date(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn parse_signature_with_missing_field_fails() {
        let whole = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/r/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature=ab";
        assert!(
            RequestSignature::parse(whole)
                .is_some_and(|it| it.access_key_id == "AKIA" && it.signature_hex == "ab")
        );
        for broken in ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=AKIA, SignedHeaders=host, Signature=ab"] {
            assert!(RequestSignature::parse(broken).is_none(), "{broken}");
        }
    }
}
