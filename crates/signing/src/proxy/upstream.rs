//! The request to the service: signed with the credentials of the session, and its response.

use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use http::{HeaderMap, HeaderName, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use tokio::time::timeout;
use valetkey_core::Credentials;

use super::request_body::{Content, RequestBody};
use super::server::ProxyServer;
use crate::payload::{BodyError, FailureSlot, ForwardedBody, ResignedBody};
use crate::refusal::{Refusal, RefusalKind};
use crate::routes::Route;
use crate::signature::{
    CONTENT_HASH_HEADER, ChunkSigner, DATE_HEADER, Scope, TOKEN_HEADER, sign, signable, signature_headers,
    signs_raw_path,
};
use crate::verification::ReceivedRequest;

/// Limit on the time until a service responds. Lambda functions run for at most 15 minutes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(16 * 60);

/// Headers that concern one connection, or that the proxy writes itself.
const DROPPED_HEADERS: [&str; 13] = [
    "authorization",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    TOKEN_HEADER,
];
/// Signed headers that are not signed again: HTTP libraries change or write them.
const UNSIGNED_HEADERS: [&str; 5] =
    ["accept-encoding", "content-length", "user-agent", "x-amzn-trace-id", CONTENT_HASH_HEADER];

/// Builds the request to the service: the headers that the client signed are signed again, with date, token and hash of
/// its own.
pub(super) fn signed_request(
    server: &ProxyServer,
    received: &ReceivedRequest<'_>,
    (route, uri): (&Route<'_>, Uri),
    body: RequestBody,
    credentials: &Credentials,
) -> Result<Request<ForwardedBody>, Refusal> {
    let parts = received.parts;
    let headers = forwarded_headers(&parts.headers);
    let signing_name = route.service().signing_name();
    let with_hash = signs_raw_path(signing_name) || parts.headers.contains_key(CONTENT_HASH_HEADER);
    let scope = Scope { region: route.signing_region(), signing_name, time: server.settings.clock.now() };
    let key = credentials.expose_to_sdk();
    let is_signed = |name: &HeaderName| {
        received.signature.is_signed(name.as_str()) && !UNSIGNED_HEADERS.contains(&name.as_str())
    };
    let hash = SignableBody::Precomputed(body.hash.as_str().to_owned());
    let signable = signable(&parts.method, &uri, &headers, is_signed, hash)?;
    let (instructions, signature) = sign(signable, &key, scope, with_hash)?;
    let content = match body.content {
        Content::Complete(content) => content,
        Content::SignedChunks { body: chunks, has_trailer } => {
            let signers = (received.chunk_signer()?, ChunkSigner::new(&key, scope, signature)?);
            ResignedBody::new(chunks, has_trailer, signers, body.failure).boxed_unsync()
        }
    };
    let mut request = Request::new(content);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.headers_mut().extend(signature_headers(&instructions)?);
    Ok(request)
}

/// Returns the headers that are forwarded: without those of the connection, including those that it names, and without
/// what the signature replaces.
fn forwarded_headers(received: &HeaderMap) -> HeaderMap {
    let mut headers = received.clone();
    for named in received.get_all("connection").iter().filter_map(|value| value.to_str().ok()) {
        for name in named.split(',').map(str::trim) {
            headers.remove(name);
        }
    }
    for name in DROPPED_HEADERS.into_iter().chain([DATE_HEADER, CONTENT_HASH_HEADER]) {
        headers.remove(name);
    }
    headers
}

/// Sends the request, and returns the response, whose body is streamed. `failure` has the reason if the body of the request
/// was not sent completely.
pub(super) async fn send(
    server: &ProxyServer,
    request: Request<ForwardedBody>,
    failure: &FailureSlot,
) -> Result<Response<ForwardedBody>, Refusal> {
    let unavailable = |message| Refusal::new(RefusalKind::Unavailable, message);
    let response = timeout(RESPONSE_TIMEOUT, server.client.request(request))
        .await
        .map_err(|_elapsed| unavailable("the service did not respond in time"))?
        .map_err(|error| {
            tracing::debug!(%error, "a request could not be forwarded");
            failure
                .get()
                .unwrap_or_else(|| unavailable("the service cannot be reached, or the body is incomplete"))
        })?;
    let (mut parts, body) = response.into_parts();
    parts.headers = forwarded_headers(&parts.headers);
    parts.version = Version::default();
    Ok(Response::from_parts(parts, body.map_err(BodyError::from).boxed_unsync()))
}
