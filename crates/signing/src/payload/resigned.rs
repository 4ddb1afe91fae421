//! `ResignedBody`: a body with signed chunks, verified and signed again while it is streamed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use subtle::ConstantTimeEq;

use super::chunks::{ChunkDecoder, MalformedChunk, SignedPart};
use super::{BodyError, FailureSlot, sha256_hex};
use crate::refusal::Refusal;
use crate::signature::ChunkSigner;

const LINE_END: Bytes = Bytes::from_static(b"\r\n");

/// Replaces the signature of each chunk, so that the body keeps its length. A chunk is passed on once its signature is
/// verified; the end is passed on only with the end of the received body.
///
/// At most one chunk, and the frame that was received with it, are in memory.
pub(crate) struct ResignedBody<B> {
    inner: B,
    parts: PartSigner,
    decoder: ChunkDecoder,
    failure: FailureSlot,
}

/// Verifies parts with the signatures of the client, and writes them with other signatures.
struct PartSigner {
    received: ChunkSigner,
    sent: ChunkSigner,
    has_trailer: bool,
    /// What can be passed on.
    ready: VecDeque<Bytes>,
    /// The last bytes of the body, once its last part was verified.
    end: Option<Bytes>,
}

impl<B> ResignedBody<B> {
    /// `received` verifies the chunks of `inner`, `sent` signs them. The first error is stored in `failure`.
    pub(crate) fn new(
        inner: B,
        has_trailer: bool,
        (received, sent): (ChunkSigner, ChunkSigner),
        failure: FailureSlot,
    ) -> Self {
        let parts = PartSigner { received, sent, has_trailer, ready: VecDeque::new(), end: None };
        Self { inner, parts, decoder: ChunkDecoder::new(has_trailer), failure }
    }

    /// Verifies the parts that were received completely.
    fn sign_received(&mut self) -> Result<(), Refusal> {
        while let Some(part) = self.decoder.next_part().map_err(Refusal::from)? {
            self.parts.sign(part)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Bytes>, Refusal> {
        if self.decoder.is_complete() { Ok(self.parts.end.take()) } else { Err(MalformedChunk.into()) }
    }

    fn fail(&mut self, refusal: Refusal) -> BodyError {
        self.failure.store(refusal);
        "the body differs from its signature".into()
    }
}

impl PartSigner {
    fn sign(&mut self, part: SignedPart) -> Result<(), Refusal> {
        match part {
            SignedPart::Chunk { size, data, signature } => {
                let hash = sha256_hex(&data);
                verify(self.received.sign_chunk(&hash), &signature)?;
                let signature = self.sent.sign_chunk(&hash);
                self.ready.push_back(format!("{size};chunk-signature={signature}\r\n").into());
                if !data.is_empty() {
                    self.ready.extend([data, LINE_END]);
                } else if !self.has_trailer {
                    self.end = Some(LINE_END);
                }
            }
            SignedPart::Trailer { lines, fields, signature } => {
                verify(self.received.sign_trailer(&fields)?, &signature)?;
                let signature = self.sent.sign_trailer(&fields)?;
                self.ready.push_back(lines);
                self.end = Some(format!("x-amz-trailer-signature:{signature}\r\n\r\n").into());
            }
        }
        Ok(())
    }
}

impl<B> Body for ResignedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = self.get_mut();
        loop {
            if let Some(bytes) = body.parts.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let signed = match ready!(Pin::new(&mut body.inner).poll_frame(context)) {
                Some(Ok(frame)) => {
                    // Trailers of HTTP are not signed, and are not passed on.
                    body.decoder.push(frame.data_ref().map_or(&[], |data| data));
                    body.sign_received()
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => match body.finish() {
                    Ok(end) => return Poll::Ready(end.map(|bytes| Ok(Frame::data(bytes)))),
                    Err(refusal) => Err(refusal),
                },
            };
            if let Err(refusal) = signed {
                return Poll::Ready(Some(Err(body.fail(refusal))));
            }
        }
    }
}

impl From<MalformedChunk> for Refusal {
    fn from(_: MalformedChunk) -> Self {
        Self::invalid("the signed chunks of the body are malformed, incomplete, or larger than 1 MiB each")
    }
}

fn verify(expected: &str, received: &str) -> Result<(), Refusal> {
    if bool::from(expected.as_bytes().ct_eq(received.as_bytes())) {
        Ok(())
    } else {
        Err(Refusal::signature("a chunk of the body differs from its signature"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_credential_types::Credentials;
    use http_body_util::{BodyExt, StreamBody};
    use proptest::prelude::*;

    use super::*;
    use crate::payload::chunks::MAX_CHUNK;
    use crate::signature::Scope;

    /// The example of the documentation of S3, "Signature Calculations for the Authorization Header: Transferring Payload
    /// in Multiple Chunks".
    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const EXAMPLE: [(usize, &str); 3] = [
        (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ];

    fn signer(secret: &str, seed: &str) -> ChunkSigner {
        let key = Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, None, None, "test");
        let time = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        ChunkSigner::new(&key, Scope { region: "us-east-1", signing_name: "s3", time }, seed.to_owned())
            .unwrap()
    }

    fn example_signer() -> ChunkSigner {
        signer("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", SEED)
    }

    fn other_signer() -> ChunkSigner {
        signer("other", "other")
    }

    /// Writes a body with `signer`, with a trailer if there are fields.
    fn write(mut signer: ChunkSigner, chunks: &[&[u8]], fields: &[(String, String)]) -> Vec<u8> {
        let mut body = Vec::new();
        for chunk in chunks.iter().chain([&&b""[..]]) {
            let signature = signer.sign_chunk(&sha256_hex(chunk));
            body.extend(format!("{:x};chunk-signature={signature}\r\n", chunk.len()).bytes());
            body.extend(*chunk);
            body.extend(if chunk.is_empty() { &b""[..] } else { b"\r\n" });
        }
        for (name, value) in fields {
            body.extend(format!("{name}:{value}\r\n").bytes());
        }
        if !fields.is_empty() {
            let signature = signer.sign_trailer(fields).unwrap();
            body.extend(format!("x-amz-trailer-signature:{signature}\r\n").bytes());
        }
        body.extend(b"\r\n");
        body
    }

    /// Passes `body` through in frames of `size` bytes; returns what was passed on, and the refusal.
    fn resign(body: &[u8], size: usize, has_trailer: bool) -> (Vec<u8>, Option<Refusal>) {
        let frames: Vec<_> = body
            .chunks(size)
            .map(|frame| Ok::<_, BodyError>(Frame::data(Bytes::copy_from_slice(frame))))
            .collect();
        let inner = StreamBody::new(futures_util::stream::iter(frames));
        let (failure, signers) = (FailureSlot::default(), (example_signer(), other_signer()));
        let mut resigned = ResignedBody::new(inner, has_trailer, signers, failure.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut sent = Vec::new();
        let outcome = runtime.block_on(async {
            while let Some(frame) = resigned.frame().await {
                sent.extend(frame?.into_data().unwrap_or_default());
            }
            Ok::<_, BodyError>(())
        });
        assert_eq!(outcome.is_err(), failure.get().is_some());
        (sent, failure.get())
    }

    fn fields() -> Vec<(String, String)> {
        vec![("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())]
    }

    #[test]
    fn resign_example_of_aws_is_accepted() {
        let data = vec![b'a'; 65_536];
        let mut body = Vec::new();
        for (length, signature) in EXAMPLE {
            body.extend(format!("{length:x};chunk-signature={signature}\r\n").bytes());
            body.extend(&data[..length]);
            body.extend(b"\r\n");
        }
        assert_eq!(body.len(), 66_824, "the Content-Length of the example");
        let (sent, refusal) = resign(&body, 8_192, false);
        assert_eq!(refusal, None);
        assert_eq!(sent, write(other_signer(), &[&data, &data[..1_024]], &[]));
    }

    #[test]
    fn resign_chunk_above_limit_is_refused() {
        let body = format!("{:x};chunk-signature={}\r\n", MAX_CHUNK + 1, "0".repeat(64));
        assert!(resign(body.as_bytes(), 1_000, false).1.is_some());
        assert!(resign(&[b'1'; 4_096], 1_000, false).1.is_some(), "a header without an end");
    }

    proptest! {
        #[test]
        fn resign_any_framing_is_signed_again(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..5),
            size in 1_usize..400,
            has_trailer in any::<bool>(),
        ) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let fields = if has_trailer { fields() } else { Vec::new() };
            let body = write(example_signer(), &chunks, &fields);
            let (sent, refusal) = resign(&body, size, has_trailer);
            prop_assert_eq!(refusal, None);
            prop_assert_eq!(sent, write(other_signer(), &chunks, &fields));
        }

        #[test]
        fn resign_changed_byte_is_never_complete(
            data in prop::collection::vec(any::<u8>(), 1..300),
            position in any::<prop::sample::Index>(),
            change in 1_u8..,
            size in 1_usize..400,
            has_trailer in any::<bool>(),
        ) {
            let fields = if has_trailer { fields() } else { Vec::new() };
            let mut body = write(example_signer(), &[&data], &fields);
            let whole = write(other_signer(), &[&data], &fields);
            let index = position.index(body.len());
            body[index] ^= change;
            let (sent, refusal) = resign(&body, size, has_trailer);
            // The size may be written in capitals, and white space around a value is not signed.
            let start = format!("{:x};chunk-signature=", data.len()).len() + 64 + "\r\n".len();
            let is_data = (start..start + data.len()).contains(&index);
            let may_be_equal = !is_data && (change == 0x20 || body[index] == b' ');
            prop_assert!(refusal.is_some() || may_be_equal, "{refusal:?}");
            prop_assert!(refusal.is_none() || sent.len() < whole.len());
        }

        #[test]
        fn resign_truncated_or_longer_body_is_refused(
            data in prop::collection::vec(any::<u8>(), 1..300),
            cut in any::<prop::sample::Index>(),
            has_trailer in any::<bool>(),
        ) {
            let fields = if has_trailer { fields() } else { Vec::new() };
            let mut body = write(example_signer(), &[&data], &fields);
            let (sent, refusal) = resign(&body[..cut.index(body.len())], 64, has_trailer);
            prop_assert!(refusal.is_some() && sent.len() < body.len());
            body.push(b'0');
            prop_assert!(resign(&body, 64, has_trailer).1.is_some());
        }

        #[test]
        fn resign_random_bytes_pass_nothing_on(body in prop::collection::vec(any::<u8>(), 1..2_000), size in 1_usize..500) {
            let (sent, refusal) = resign(&body, size, true);
            prop_assert!(sent.is_empty() && refusal.is_some());
        }
    }
}
