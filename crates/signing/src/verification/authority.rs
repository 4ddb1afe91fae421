//! The signature of a request in HTTP/2 that signs `:authority` in place of `Host`, as the SDK for JavaScript does.
//!
//! `aws-sigv4` accepts no such name, so the canonical request is built here:
//!
//! ```text
//! POST
//! /model/vendor.model-v1%253A0/invoke
//!
//! :authority:127.0.0.1:50000
//! x-amz-date:20260131T235959Z
//!
//! :authority;x-amz-date
//! <hash of the body>
//! ```

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::request::Parts;
use percent_encoding::{percent_decode_str, percent_encode, utf8_percent_encode};

use super::{ReceivedSignature, host_of, single};
use crate::payload::sha256_hex;
use crate::signature::{DATE_HEADER, ENCODED, ENCODED_IN_PATH, canonical_path, signs_raw_path};

/// The pseudo-header of HTTP/2 that replaces `Host`.
pub(super) const AUTHORITY: &str = ":authority";

/// Returns the signature that the request must have; `None` if a signed header is missing or not text.
pub(super) fn expected_signature(
    received: &ReceivedSignature,
    parts: &Parts,
    payload_hash: &str,
    (key, signed_at): (&Credentials, SystemTime),
) -> Option<String> {
    let request = canonical_request(received, parts, payload_hash)?;
    let (region, name) = (&received.region, &received.signing_name);
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{}/{region}/{name}/aws4_request\n{}",
        single(&parts.headers, DATE_HEADER)?,
        received.scope_date,
        sha256_hex(request.as_bytes()),
    );
    let signing_key = generate_signing_key(key.secret_access_key(), signed_at, region, name);
    Some(calculate_signature(signing_key, text.as_bytes()))
}

/// Returns the text whose hash is signed. It has exactly the headers that the client signed.
fn canonical_request(received: &ReceivedSignature, parts: &Parts, payload_hash: &str) -> Option<String> {
    let mut headers = String::new();
    for name in &received.signed_headers {
        headers += &format!("{name}:{}\n", canonical_value(parts, name)?);
    }
    let path = signed_path(parts.uri.path(), &received.signing_name);
    let query = canonical_query(parts.uri.query().unwrap_or_default());
    let names = received.signed_headers.join(";");
    Some(format!("{}\n{path}\n{query}\n{headers}\n{names}\n{payload_hash}", parts.method))
}

/// Returns all values of a header, with single spaces.
fn canonical_value(parts: &Parts, name: &str) -> Option<String> {
    if name == AUTHORITY {
        return host_of(parts).map(str::to_owned);
    }
    let values = parts.headers.get_all(name).iter().map(|value| {
        let words = value.to_str().ok()?.split(' ').filter(|word| !word.is_empty());
        Some(words.collect::<Vec<_>>().join(" "))
    });
    let values: Vec<String> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.join(","))
}

/// Returns the path without empty segments and encoded once more; that of S3 as S3 reads it. Segments of dots need no
/// treatment: such paths are refused outside S3.
fn signed_path(path: &str, signing_name: &str) -> String {
    if signs_raw_path(signing_name) {
        return canonical_path(path, signing_name).into_owned();
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    utf8_percent_encode(&format!("/{}{end}", segments.join("/")), ENCODED_IN_PATH).to_string()
}

/// Returns the fields of a query in the order of their encoded names and values.
fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&decoded, ENCODED).to_string()
    };
    let fields = query.split('&').filter(|field| !field.is_empty());
    let mut fields: Vec<(String, String)> = fields
        .map(|field| field.split_once('=').unwrap_or((field, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    fields.sort();
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_path_is_encoded_twice_outside_s3() {
        for (path, canonical) in [
            ("/", "/"),
            ("/~bedrock-runtime//model/a%3A0/invoke", "/~bedrock-runtime/model/a%253A0/invoke"),
            ("/~bedrock/", "/~bedrock/"),
        ] {
            assert_eq!(signed_path(path, "bedrock"), canonical);
            assert_eq!(signed_path(path, "s3"), path);
        }
    }

    #[test]
    fn canonical_query_is_sorted_and_encoded_once() {
        assert_eq!(canonical_query("b=%2f&a=x+y&a&%7E=~"), "a=&a=x%2By&b=%2F&~=~");
        assert_eq!(canonical_query(""), "");
    }
}
