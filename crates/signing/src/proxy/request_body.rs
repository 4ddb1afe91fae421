//! `RequestBody`: the body of a received request, with what must be known of it before the request is signed.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use crate::operation::is_form;
use crate::payload::{
    DeclaredHash, FailureSlot, ForwardedBody, differs_from_hash, full, read_body, sha256_hex, streamed,
};
use crate::refusal::Refusal;
use crate::verification::declared_hash;

/// Limit on the time to read a body that is buffered.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Limit on a body that is compared with its signed hash before the service gets it, in bytes. A longer one is sent with
/// this hash while it arrives: the forwarded signature contains the hash, so the service compares it with what it receives.
const MAX_COMPARED: u64 = 64 * 1024;

/// A body with its hash, and the text of its form if it may name the operation.
pub(super) struct RequestBody {
    pub(super) content: Content,
    pub(super) hash: DeclaredHash,
    pub(super) form: Bytes,
    /// Why the body was not passed on completely.
    pub(super) failure: FailureSlot,
}

/// The bytes to forward.
pub(super) enum Content {
    Complete(ForwardedBody),
    /// Chunks that are signed again, which needs the signature of the forwarded request.
    SignedChunks {
        body: Incoming,
        has_trailer: bool,
    },
}

impl RequestBody {
    /// Buffers a body whose hash is needed before the service gets it, that may name the operation, or that is short. All
    /// others are streamed.
    pub(super) async fn read(parts: &Parts, body: Incoming) -> Result<Self, Refusal> {
        let declared = declared_hash(parts)?.map(DeclaredHash::parse).transpose()?;
        let is_streamed = !is_form(parts) && !body.is_end_stream();
        match declared {
            Some(DeclaredHash::SignedChunks { has_trailer }) if is_streamed => {
                let content = Content::SignedChunks { body, has_trailer };
                Ok(Self::new(content, DeclaredHash::SignedChunks { has_trailer }))
            }
            Some(DeclaredHash::SignedChunks { .. }) => {
                Err(Refusal::invalid("a form or an empty body cannot have signed chunks"))
            }
            Some(hash @ DeclaredHash::Unsigned(_)) if is_streamed => {
                Ok(Self::new(Content::Complete(streamed(body)), hash))
            }
            Some(hash @ DeclaredHash::Sha256(_)) if is_streamed && !is_compared(&body) => {
                Ok(Self::new(Content::Complete(streamed(body)), hash))
            }
            declared => Self::buffer(parts, body, declared).await,
        }
    }

    async fn buffer(parts: &Parts, body: Incoming, declared: Option<DeclaredHash>) -> Result<Self, Refusal> {
        let slow = |_elapsed| Refusal::invalid("the body did not arrive in time");
        let body = timeout(BODY_TIMEOUT, read_body(body)).await.map_err(slow)??;
        let actual = DeclaredHash::Sha256(sha256_hex(&body));
        if matches!(declared, Some(DeclaredHash::Sha256(_))) && declared.as_ref() != Some(&actual) {
            return Err(differs_from_hash());
        }
        let form = if is_form(parts) { body.clone() } else { Bytes::new() };
        Ok(Self { form, ..Self::new(Content::Complete(full(body)), declared.unwrap_or(actual)) })
    }

    fn new(content: Content, hash: DeclaredHash) -> Self {
        Self { content, hash, form: Bytes::new(), failure: FailureSlot::default() }
    }
}

fn is_compared(body: &Incoming) -> bool {
    body.size_hint().upper().is_some_and(|length| length <= MAX_COMPARED)
}
