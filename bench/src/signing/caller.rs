//! `SigningCaller`: a client that signs its requests before they are timed.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use http::Request;
use hyper::body::Bytes;

use super::body::{FRAME, SentBody, large_frame};
use super::upstream::UNREAD;
use crate::Result;

const REGION: &str = "eu-west-1";
const SMALL_BODY: &str = r#"{"TableName":"bench","Key":{"id":{"S":"0123456789abcdef0123456789abcdef"}},"ConsistentRead":true,"ProjectionExpression":"id, name, price, stock","ReturnConsumedCapacity":"TOTAL"}"#;

/// How the body of an upload is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadMode {
    Unsigned,
    /// The request has the hash of the whole body, as those of boto3 have.
    Hash,
    /// Each chunk has a signature, as those of the SDK for Rust have.
    SignedChunks,
}

/// Signs for one address with one key.
pub(crate) struct SigningCaller {
    pub(crate) address: SocketAddr,
    identity: Identity,
    /// Numbers the requests, so that each has a signature of its own.
    sent: Cell<u64>,
}

/// A request before it is signed.
struct Draft<'a> {
    method: &'static str,
    path: String,
    signing_name: &'static str,
    headers: Vec<(&'static str, String)>,
    body: SignableBody<'a>,
}

impl SigningCaller {
    pub(crate) fn new(address: SocketAddr, key: Credentials) -> Self {
        Self { address, identity: key.into(), sent: Cell::new(0) }
    }

    /// Returns a request to DynamoDB.
    pub(crate) fn small(&self) -> Result<Request<SentBody>> {
        let draft = Draft {
            method: "POST",
            path: "/~dynamodb/".to_owned(),
            signing_name: "dynamodb",
            headers: vec![
                ("content-type", "application/x-amz-json-1.0".to_owned()),
                ("x-amz-target", "DynamoDB_20120810.GetItem".to_owned()),
            ],
            body: SignableBody::Bytes(SMALL_BODY.as_bytes()),
        };
        let (request, _) = self.sign(draft, SystemTime::now())?;
        Ok(request.map(|()| SentBody::full(Bytes::from_static(SMALL_BODY.as_bytes()))))
    }

    /// Returns a request for an object of this length.
    pub(crate) fn download(&self, length: u64) -> Result<Request<SentBody>> {
        let (request, _) =
            self.sign(object("GET", &length.to_string(), SignableBody::Bytes(b"")), SystemTime::now())?;
        Ok(request.map(|()| SentBody::empty()))
    }

    /// Returns the upload of an object of this length, which is a multiple of a frame. `hash` is that of the object.
    pub(crate) fn upload(&self, length: u64, mode: UploadMode, hash: &str) -> Result<Request<SentBody>> {
        let time = SystemTime::now();
        let body = match mode {
            UploadMode::Unsigned => SignableBody::UnsignedPayload,
            UploadMode::Hash => SignableBody::Precomputed(hash.to_owned()),
            UploadMode::SignedChunks => {
                SignableBody::Precomputed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned())
            }
        };
        let mut draft = object("PUT", "object", body);
        if mode != UploadMode::SignedChunks {
            return Ok(self.sign(draft, time)?.0.map(|()| SentBody::large(length)));
        }
        draft.headers.push(("content-encoding", "aws-chunked".to_owned()));
        draft.headers.push(("x-amz-decoded-content-length", length.to_string()));
        let (request, signature) = self.sign(draft, time)?;
        let frames = self.signed_chunks(length, signature, time)?;
        Ok(request.map(|()| SentBody::from_frames(frames)))
    }

    /// Returns an upload whose body the service does not read.
    pub(crate) fn unread_upload(&self, length: u64) -> Result<Request<SentBody>> {
        let draft = object("PUT", UNREAD, SignableBody::UnsignedPayload);
        Ok(self.sign(draft, SystemTime::now())?.0.map(|()| SentBody::large(length)))
    }

    fn signed_chunks(&self, length: u64, mut signature: String, time: SystemTime) -> Result<Vec<Bytes>> {
        let params: v4::SigningParams<'_, ()> = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(REGION)
            .name("s3")
            .time(time)
            .settings(())
            .build()?;
        let (chunk, mut frames) = (large_frame(), Vec::new());
        for _ in 0..length / FRAME as u64 {
            signature = v4::sign_chunk(&chunk, &signature, &params)?.into_parts().1;
            frames.push(format!("{FRAME:x};chunk-signature={signature}\r\n").into());
            frames.extend([chunk.clone(), Bytes::from_static(b"\r\n")]);
        }
        signature = v4::sign_chunk(&Bytes::new(), &signature, &params)?.into_parts().1;
        frames.push(format!("0;chunk-signature={signature}\r\n\r\n").into());
        Ok(frames)
    }

    /// Returns the signed head, and its signature.
    fn sign(&self, draft: Draft<'_>, time: SystemTime) -> Result<(Request<()>, String)> {
        self.sent.set(self.sent.get() + 1);
        let mut headers = vec![("host", self.address.to_string())];
        headers.extend(draft.headers);
        headers.push(("amz-sdk-invocation-id", format!("{:032x}", self.sent.get())));
        let uri = format!("http://{}{}", self.address, draft.path);
        let fields = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(draft.method, &uri, fields, draft.body)?;
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(REGION)
            .name(draft.signing_name)
            .time(time)
            .settings(settings(draft.signing_name))
            .build()?
            .into();
        let (instructions, signature) = sign(signable, &params)?.into_parts();
        let mut request = Request::builder().method(draft.method).uri(draft.path);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok((request.body(())?, signature))
    }
}

fn object<'a>(method: &'static str, key: &str, body: SignableBody<'a>) -> Draft<'a> {
    Draft { method, path: format!("/~s3/bench/{key}"), signing_name: "s3", headers: Vec::new(), body }
}

fn settings(signing_name: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if signing_name == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}
