//! `Payload`: the body of a request, buffered or streamed, and its content hash.

mod chunks;
mod resigned;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

pub(crate) use resigned::ResignedBody;

use crate::refusal::Refusal;

/// Limit on a body that is buffered, in bytes: one whose hash the client did not send, or that names the operation.
pub(crate) const MAX_BUFFERED: usize = 32 * 1024 * 1024;

const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_CHUNKS_AND_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";

/// The error of a streamed body.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a forwarded request or response.
pub(crate) type ForwardedBody = UnsyncBoxBody<Bytes, BodyError>;

/// The value of the header `X-Amz-Content-Sha256`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeclaredHash {
    /// The hash of the whole body.
    Sha256(String),
    /// The body is not signed, and may have the framing of `aws-chunked`.
    Unsigned(String),
    /// Each chunk of the body is signed, in the framing of `aws-chunked`.
    SignedChunks {
        /// Whether signed headers follow the last chunk.
        has_trailer: bool,
    },
}

/// Why a body that is streamed was not passed on completely. Clones share the reason, of which the first counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailureSlot(Arc<OnceLock<Refusal>>);

impl FailureSlot {
    pub(crate) fn store(&self, refusal: Refusal) {
        let _first_counts = self.0.set(refusal);
    }

    pub(crate) fn get(&self) -> Option<Refusal> {
        self.0.get().cloned()
    }
}

impl DeclaredHash {
    /// Parses the header.
    pub(crate) fn parse(value: &str) -> Result<Self, Refusal> {
        match value {
            "UNSIGNED-PAYLOAD" | "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::Unsigned(value.to_owned())),
            hash if hash.len() == 64
                && hash.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) =>
            {
                Ok(Self::Sha256(hash.to_owned()))
            }
            SIGNED_CHUNKS => Ok(Self::SignedChunks { has_trailer: false }),
            SIGNED_CHUNKS_AND_TRAILER => Ok(Self::SignedChunks { has_trailer: true }),
            _ => Err(Refusal::invalid(
                "`X-Amz-Content-Sha256` has a value that the proxy does not support; send the hash of the whole body, or \
                 use the delivery `endpoint` for this program",
            )),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::Unsigned(text) => text,
            Self::SignedChunks { has_trailer: false } => SIGNED_CHUNKS,
            Self::SignedChunks { has_trailer: true } => SIGNED_CHUNKS_AND_TRAILER,
        }
    }
}

/// Reads a whole body of at most [`MAX_BUFFERED`] bytes.
pub(crate) async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    let collected = Limited::new(body, MAX_BUFFERED).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|_| {
        Refusal::invalid("the body is incomplete, or larger than 32 MiB without `X-Amz-Content-Sha256`")
    })
}

/// Returns the hash of a body as hexadecimal digits.
pub(crate) fn sha256_hex(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

pub(crate) fn differs_from_hash() -> Refusal {
    Refusal::signature("the body differs from its signed hash")
}

/// Returns a buffered body.
pub(crate) fn full(body: Bytes) -> ForwardedBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body that is passed on as it arrives.
pub(crate) fn streamed(body: Incoming) -> ForwardedBody {
    body.map_err(BodyError::from).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_unknown_mode_is_refused() {
        assert_eq!(DeclaredHash::parse(&sha256_hex(b"")).unwrap().as_str().len(), 64);
        assert!(matches!(DeclaredHash::parse("UNSIGNED-PAYLOAD"), Ok(DeclaredHash::Unsigned(_))));
        for mode in [SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER] {
            assert_eq!(DeclaredHash::parse(mode).unwrap().as_str(), mode);
        }
        let digits = "A".repeat(64);
        for wrong in ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "", "abc", &digits] {
            assert!(DeclaredHash::parse(wrong).is_err(), "{wrong}");
        }
    }
}
