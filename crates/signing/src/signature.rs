//! Computes signatures with `aws-sigv4`, both to verify a request and to sign it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningParams, SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::v4::{self, calculate_signature, generate_signing_key};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use secrecy::{ExposeSecret, SecretBox};
use tracing::Dispatch;

use crate::refusal::Refusal;

pub(crate) const TOKEN_HEADER: &str = "x-amz-security-token";
pub(crate) const DATE_HEADER: &str = "x-amz-date";
pub(crate) const CONTENT_HASH_HEADER: &str = "x-amz-content-sha256";

/// The SHA-256 of an empty text.
const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a signature is valid for.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) signing_name: &'a str,
    pub(crate) time: SystemTime,
}

/// The characters that the names and values of a signed query have in encoded form.
pub(crate) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The characters that a signed path has in encoded form.
pub(crate) const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// Returns whether the paths of these requests are encoded once, and not normalized. All others are encoded twice.
pub(crate) fn signs_raw_path(signing_name: &str) -> bool {
    matches!(signing_name, "s3" | "s3express" | "s3-object-lambda" | "s3-outposts")
}

/// Returns a path and its query as the service reads and signs them. S3 decodes a path and encodes it once, so that `/%2F`
/// is `//`, and `+` is a space. Clients that would merge two slashes send the first and sign the second, such as the SDK
/// for Java; `aws4fetch` sends `+` and signs a space.
pub(crate) fn canonical_path<'p>(path: &'p str, signing_name: &str) -> Cow<'p, str> {
    if !signs_raw_path(signing_name) {
        return path.into();
    }
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let path = path.replace('+', " ");
    let decoded: Cow<'_, [u8]> = percent_decode_str(&path).into();
    format!("{}{query}", percent_encode(&decoded, ENCODED_IN_PATH)).into()
}

/// Describes a request for [`sign`], with the headers for which `is_signed` holds.
pub(crate) fn signable<'r>(
    method: &'r Method,
    uri: &Uri,
    headers: &'r HeaderMap,
    is_signed: impl Fn(&HeaderName) -> bool,
    body: SignableBody<'r>,
) -> Result<SignableRequest<'r>, Refusal> {
    let signed = headers.iter().filter(|(name, _)| is_signed(name)).map(|(name, value)| {
        Ok((name.as_str(), std::str::from_utf8(value.as_bytes()).map_err(|_| unsignable())?))
    });
    let signed = signed.collect::<Result<Vec<_>, Refusal>>()?;
    SignableRequest::new(method.as_str(), uri.to_string(), signed.into_iter(), body).map_err(|_| unsignable())
}

/// Returns the headers of a signature. Logs do not show their values.
pub(crate) fn signature_headers(instructions: &SigningInstructions) -> Result<HeaderMap, Refusal> {
    let headers = instructions.headers().map(|(name, value)| {
        let mut value = HeaderValue::from_str(value).map_err(|_| unsignable())?;
        value.set_sensitive(true);
        Ok((HeaderName::try_from(name).map_err(|_| unsignable())?, value))
    });
    headers.collect()
}

/// Signs exactly the headers of `request`, the date, the token and, if `with_hash`, the content hash.
pub(crate) fn sign(
    request: SignableRequest<'_>,
    key: &Credentials,
    scope: Scope<'_>,
    with_hash: bool,
) -> Result<(SigningInstructions, String), Refusal> {
    sign_with(request, key, scope, settings(scope.signing_name, with_hash))
}

/// Signs a URL that is valid for `lifetime`. The signature is in its query.
pub(crate) fn presign_query(
    request: SignableRequest<'_>,
    key: &Credentials,
    scope: Scope<'_>,
    lifetime: Duration,
) -> Result<SigningInstructions, Refusal> {
    let mut settings = settings(scope.signing_name, false);
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(lifetime);
    // At the level TRACE, the signer logs the query, which has the token.
    let signed =
        tracing::dispatcher::with_default(&Dispatch::none(), || sign_with(request, key, scope, settings));
    signed.map(|(instructions, _)| instructions)
}

fn sign_with(
    request: SignableRequest<'_>,
    key: &Credentials,
    scope: Scope<'_>,
    settings: SigningSettings,
) -> Result<(SigningInstructions, String), Refusal> {
    let identity = key.clone().into();
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.signing_name)
        .time(scope.time)
        .settings(settings)
        .build()
        .map_err(|_| unsignable())?
        .into();
    Ok(aws_sigv4::http_request::sign(request, &params).map_err(|_| unsignable())?.into_parts())
}

fn settings(signing_name: &str, with_hash: bool) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    if with_hash {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if signs_raw_path(signing_name) {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}

/// Computes the signatures of the chunks of a body, each of which includes that of the chunk before it.
///
/// The first one includes the signature of the request. So chunks cannot be left out, added or reordered.
///
/// A signature of a chunk is computed from its hash, which is the same for the received and the sent chunk, and with a key
/// that is derived once. The function for chunks in `aws-sigv4` does both again for each signature.
pub(crate) struct ChunkSigner {
    identity: Identity,
    region: String,
    signing_name: String,
    time: SystemTime,
    /// Derived for the date, region and service.
    signing_key: SecretBox<[u8]>,
    /// The first lines of what is signed for a chunk: algorithm, time and scope.
    chunk_prefix: String,
    /// The latest signature; at first that of the request.
    signature: String,
}

impl ChunkSigner {
    pub(crate) fn new(
        key: &Credentials,
        scope: Scope<'_>,
        request_signature: String,
    ) -> Result<Self, Refusal> {
        let Scope { region, signing_name, time } = scope;
        let (date, date_time) = basic_date(time)?;
        let derived = generate_signing_key(key.secret_access_key(), time, region, signing_name);
        Ok(Self {
            identity: key.clone().into(),
            region: region.to_owned(),
            signing_name: signing_name.to_owned(),
            time,
            signing_key: SecretBox::new(derived.as_ref().into()),
            chunk_prefix: format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{date_time}\n{date}/{region}/{signing_name}/aws4_request"
            ),
            signature: request_signature,
        })
    }

    /// Returns the signature of the next chunk, whose data has this hash in hexadecimal digits.
    pub(crate) fn sign_chunk(&mut self, hash: &str) -> &str {
        let text = format!("{}\n{}\n{HASH_OF_NOTHING}\n{hash}", self.chunk_prefix, self.signature);
        self.signature = calculate_signature(self.signing_key.expose_secret(), text.as_bytes());
        &self.signature
    }

    /// Returns the signature of the trailer, which follows the last chunk.
    pub(crate) fn sign_trailer(&mut self, fields: &[(String, String)]) -> Result<&str, Refusal> {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.try_append(name.clone(), value.clone()).map_err(|_| unsignable())?;
        }
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(&self.signing_name)
            .time(self.time)
            .settings(())
            .build()
            .map_err(|_| unsignable())?;
        let signed = v4::sign_trailer(&headers, &self.signature, &params).map_err(|_| unsignable())?;
        self.signature = signed.into_parts().1;
        Ok(&self.signature)
    }
}

/// Returns a time as `20260131` and as `20260131T235959Z`.
fn basic_date(time: SystemTime) -> Result<(String, String), Refusal> {
    let seconds = DateTime::from_secs(DateTime::from(time).secs());
    let mut text = seconds.fmt(Format::DateTime).map_err(|_| unsignable())?;
    text.retain(|digit| !matches!(digit, '-' | ':'));
    Ok((text.chars().take("20260131".len()).collect(), text))
}

pub(crate) fn unsignable() -> Refusal {
    Refusal::invalid("the request cannot be signed")
}
