//! `ReceivedSignature`: the signature of a request that a placeholder signed, and its verification.
//!
//! The signature is computed again over the received request, and compared in constant time. So a change of the method,
//! path, query, a signed header, the body, the region or the service of a request is noticed.

mod authority;
mod replay;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Version};
use subtle::ConstantTimeEq;

use authority::{AUTHORITY, expected_signature};
pub(crate) use replay::{ReplayWindow, RequestIdentity};

use crate::refusal::Refusal;
use crate::signature::{
    CONTENT_HASH_HEADER, ChunkSigner, DATE_HEADER, Scope, TOKEN_HEADER, canonical_path, sign,
};

/// The greatest difference between the date of a request and the clock.
pub(crate) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Limit on the header `Authorization`, in bytes.
const MAX_AUTHORIZATION: usize = 4 * 1024;
/// Limit on the number of signed headers.
const MAX_SIGNED_HEADERS: usize = 64;

/// The content of an `Authorization` header.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedSignature {
    pub(crate) access_key_id: String,
    scope_date: String,
    pub(crate) region: String,
    pub(crate) signing_name: String,
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
}

/// A request whose signature is verified.
pub(crate) struct ReceivedRequest<'r> {
    pub(crate) parts: &'r Parts,
    pub(crate) signature: &'r ReceivedSignature,
    /// The date of the signature.
    pub(crate) signed_at: SystemTime,
    key: &'r Credentials,
}

impl ReceivedRequest<'_> {
    /// Returns the signatures that the chunks of the body must have.
    pub(crate) fn chunk_signer(&self) -> Result<ChunkSigner, Refusal> {
        let signature = self.signature;
        ChunkSigner::new(self.key, signature.scope(self.signed_at), signature.signature.clone())
    }
}

impl ReceivedSignature {
    /// Parses the header.
    pub(crate) fn from_parts(parts: &Parts) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default().to_ascii_lowercase();
        if query.contains("x-amz-signature=") || query.contains("x-amz-credential=") {
            return Err(Refusal::invalid(
                "presigned requests are not forwarded; send the request with signed headers",
            ));
        }
        let header = single(&parts.headers, AUTHORIZATION.as_str()).ok_or_else(|| {
            Refusal::denied("the request is not signed; use the placeholders that valetkey provides")
        })?;
        if header.starts_with("AWS4-ECDSA") {
            return Err(Refusal::invalid(
                "SigV4a is not supported; use the delivery `endpoint` for this program",
            ));
        }
        Some(header)
            .filter(|header| header.len() <= MAX_AUTHORIZATION)
            .and_then(Self::parse)
            .ok_or_else(|| Refusal::signature("the Authorization header is not that of Signature Version 4"))
    }

    fn parse(header: &str) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [access_key_id, scope_date, region, signing_name, "aws4_request"] = scope[..] else {
            return None;
        };
        let signed_headers: Vec<String> = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
        let signature = field("Signature")?;
        let is_sorted = signed_headers.windows(2).all(|pair| pair[0] < pair[1]);
        let is_valid = is_sorted && signed_headers.len() <= MAX_SIGNED_HEADERS && signature.len() == 64;
        is_valid.then(|| Self {
            access_key_id: access_key_id.to_owned(),
            scope_date: scope_date.to_owned(),
            region: region.to_owned(),
            signing_name: signing_name.to_owned(),
            signed_headers,
            signature: signature.to_owned(),
        })
    }

    /// Returns whether the client signed this header.
    pub(crate) fn is_signed(&self, name: &str) -> bool {
        self.signed_headers.iter().any(|signed| signed == name)
    }

    /// Succeeds if the secret of `key` signed exactly this request, within five minutes of `now`.
    pub(crate) fn verify<'r>(
        &'r self,
        parts: &'r Parts,
        payload_hash: &str,
        key: &'r Credentials,
        now: SystemTime,
    ) -> Result<ReceivedRequest<'r>, Refusal> {
        let signed_at = self.check_date(&parts.headers, now)?;
        self.check_signed_headers(parts)?;
        let expected = if self.is_signed(AUTHORITY) {
            expected_signature(self, parts, payload_hash, (key, signed_at)).ok_or_else(mismatch)?
        } else {
            sign(self.signable(parts, payload_hash)?, key, self.scope(signed_at), false)?.1
        };
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(ReceivedRequest { parts, signature: self, signed_at, key })
        } else {
            Err(mismatch())
        }
    }

    fn scope(&self, time: SystemTime) -> Scope<'_> {
        Scope { region: &self.region, signing_name: &self.signing_name, time }
    }

    fn check_date(&self, headers: &HeaderMap, now: SystemTime) -> Result<SystemTime, Refusal> {
        let date = single(headers, DATE_HEADER).filter(|date| date.starts_with(&self.scope_date));
        let time =
            date.filter(|_| self.scope_date.len() == 8).and_then(parse_basic_date).ok_or_else(|| {
                Refusal::signature("the date of the request is missing, or differs from its scope")
            })?;
        let difference = now.duration_since(time).unwrap_or_else(|ahead| ahead.duration());
        if difference > MAX_CLOCK_SKEW {
            return Err(Refusal::signature(
                "the date of the request is more than five minutes off; correct the clock",
            ));
        }
        Ok(time)
    }

    /// The host, and all headers that AWS gives a meaning, must be signed.
    fn check_signed_headers(&self, parts: &Parts) -> Result<(), Refusal> {
        let mut names = parts.headers.keys().map(HeaderName::as_str);
        let has_unsigned = names.any(|name| name.starts_with("x-amz-") && !self.is_signed(name));
        let has_authority = parts.version == Version::HTTP_2 && self.is_signed(AUTHORITY);
        let has_host = self.is_signed(HOST.as_str()) || has_authority;
        if has_unsigned || !has_host || !self.is_signed(DATE_HEADER) || !self.is_signed(TOKEN_HEADER) {
            return Err(Refusal::signature("`Host` and all `X-Amz-*` headers must be signed"));
        }
        Ok(())
    }

    fn signable<'r>(&'r self, parts: &'r Parts, payload_hash: &str) -> Result<SignableRequest<'r>, Refusal> {
        let mut headers = Vec::with_capacity(self.signed_headers.len());
        // The signer logs the headers that it receives. It adds the token itself, without logging it.
        for name in self.signed_headers.iter().filter(|name| *name != TOKEN_HEADER && *name != "host") {
            for value in parts.headers.get_all(name) {
                headers.push((name.as_str(), std::str::from_utf8(value.as_bytes()).map_err(|_| mismatch())?));
            }
        }
        headers.push(("host", host_of(parts).ok_or_else(mismatch)?));
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let path = canonical_path(path, &self.signing_name);
        let body = SignableBody::Precomputed(payload_hash.to_owned());
        SignableRequest::new(
            parts.method.as_str(),
            format!("http://localhost{path}"),
            headers.into_iter(),
            body,
        )
        .map_err(|_| mismatch())
    }
}

/// Returns the value of a header that occurs once.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Returns the host that the client connected to: the header in HTTP/1.1, the authority in HTTP/2.
pub(crate) fn host_of(parts: &Parts) -> Option<&str> {
    match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => single(&parts.headers, HOST.as_str()),
    }
}

/// Returns the content hash that the client sent.
pub(crate) fn declared_hash(parts: &Parts) -> Result<Option<&str>, Refusal> {
    if !parts.headers.contains_key(CONTENT_HASH_HEADER) {
        return Ok(None);
    }
    single(&parts.headers, CONTENT_HASH_HEADER).map(Some).ok_or_else(mismatch)
}

fn mismatch() -> Refusal {
    Refusal::signature("the signature does not match; use the placeholders that valetkey provides")
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
    use http::{HeaderValue, Request};
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "AWS4-HMAC-SHA256 Credential=ASIA/20260101/r/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature=";

    #[test]
    fn parse_malformed_header_fails() {
        let signature = "ab".repeat(32);
        let whole = format!("{HEADER}{signature}");
        assert!(ReceivedSignature::parse(&whole).is_some_and(|parsed| parsed.signing_name == "sts"));
        for (part, wrong) in [
            ("host;x-amz-date", "x-amz-date;host"),
            ("host;x-amz-date", "host;host"),
            ("/sts/", "/sts/x/"),
            ("aws4_request", "aws4"),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
            ("Signature=", "Signature=a"),
        ] {
            assert!(ReceivedSignature::parse(&whole.replace(part, wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn parse_basic_date_accepts_basic_format_only() {
        assert!(parse_basic_date("20260131T235959Z").is_some());
        for wrong in ["", "20260131T235959", "2026-01-31T23:59:59Z", "20261301T000000Z", "ééééééééé"]
        {
            assert!(parse_basic_date(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_are_no_signature(
            start in prop::sample::select(vec![String::new(), HEADER.to_owned(), format!("{HEADER}{}", "ab".repeat(32))]),
            header in prop::collection::vec(any::<u8>(), 0..200),
            date in "[ -~]{0,20}|20260101T[0-9]{6}Z",
        ) {
            let value = HeaderValue::from_bytes(&[start.as_bytes(), &header].concat());
            let mut request = Request::new(());
            request.headers_mut().extend(value.ok().map(|value| (AUTHORIZATION, value)));
            request.headers_mut().insert(DATE_HEADER, HeaderValue::from_str(&date).unwrap());
            request.headers_mut().insert(HOST, HeaderValue::from_static("127.0.0.1"));
            let (parts, ()) = request.into_parts();
            if let Ok(parsed) = ReceivedSignature::from_parts(&parts) {
                let key = Credentials::new("ASIA", "secret", None, None, "test");
                let now = parse_basic_date("20260101T000000Z").unwrap();
                prop_assert!(parsed.verify(&parts, "hash", &key, now).is_err());
            }
        }
    }
}
