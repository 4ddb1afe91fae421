//! One request: verified with its placeholder, decided on, signed with the session's credentials, and forwarded.
//!
//! | request | response |
//! |---|---|
//! | verified and permitted | that of the service, streamed |
//! | forwarded, in absolute form, presigned, of ambiguous length, with signed chunks | 400 |
//! | another `Host`, keys of no placeholder, a wrong signature, no route, a rule | 403 |
//! | the account has no credentials | 403, or 503 if they may come later |
//! | a signature that was used before, too many requests | 429 |
//! | the service cannot be reached | 503 |

use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_sigv4::http_request::{SignableBody, SignableRequest};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;
use valetkey_core::Credentials;
use valetkey_core::audit::AuditEvent;

use super::record::ExchangeRecord;
use super::server::ProxyServer;
use crate::operation::{is_form, operation_of, protocol_of};
use crate::payload::{BodyError, DeclaredHash, ForwardedBody, full, read_body, sha256_hex, streamed};
use crate::placeholder::PlaceholderState;
use crate::refusal::{Refusal, RefusalKind};
use crate::routes::{Protocol, Route};
use crate::signature::{
    CONTENT_HASH_HEADER, DATE_HEADER, Scope, TOKEN_HEADER, sign, signs_raw_path, unsignable,
};
use crate::verification::{ReceivedSignature, RequestIdentity, declared_hash, host_of, single};

/// Limit on the time to read a body that is buffered.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
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

/// A body with its hash, and the text of its form if it may name the operation.
struct Payload {
    body: ForwardedBody,
    hash: DeclaredHash,
    form: Bytes,
}

/// Returns the response of the service, or the refusal in the form of the service's protocol.
pub(super) async fn handle_request(
    server: Weak<ProxyServer>,
    request: Request<Incoming>,
) -> Response<ForwardedBody> {
    let (parts, body) = request.into_parts();
    let Some(server) = server.upgrade() else {
        let stopping = Refusal::new(RefusalKind::Unavailable, "the proxy is stopping");
        return refusal_response(&stopping, Protocol::RestJson);
    };
    match exchange(&server, &parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal_response(&refusal, protocol(&server, &parts)),
    }
}

fn refusal_response(refusal: &Refusal, protocol: Protocol) -> Response<ForwardedBody> {
    refusal.to_response(protocol).map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

/// Returns the protocol for errors: what the headers state, otherwise that of the service in the scope.
fn protocol(server: &ProxyServer, parts: &Parts) -> Protocol {
    let signature = ReceivedSignature::from_parts(parts).ok();
    let signing_name = signature.map(|signature| signature.signing_name).unwrap_or_default();
    let service = server.routes().services().find(|service| service.name() == signing_name);
    protocol_of(parts, service.map_or(Protocol::RestJson, |service| service.protocol()))
}

async fn exchange(
    server: &ProxyServer,
    parts: &Parts,
    body: Incoming,
) -> Result<Response<ForwardedBody>, Refusal> {
    let throttled = || Refusal::new(RefusalKind::Throttled, "too many requests at a time");
    check_connection(server, parts)?;
    let signature = ReceivedSignature::from_parts(parts)?;
    let placeholder = find_placeholder(server, parts, &signature)?;
    let _permit = server.requests.try_acquire().map_err(|_| throttled())?;
    let _permit = placeholder.requests.try_acquire().map_err(|_| throttled())?;
    let mut record = ExchangeRecord::begin(&placeholder);
    match forward(server, &placeholder, (parts, &signature), body, &mut record).await {
        Ok(response) => Ok(record.responded(response)),
        Err(refusal) => {
            record.refused(&refusal);
            Err(refusal)
        }
    }
}

/// Rejects requests that no SDK on this machine sends: from a page in a browser, through another proxy, or with a length
/// that two programs could read differently.
fn check_connection(server: &ProxyServer, parts: &Parts) -> Result<(), Refusal> {
    let headers = &parts.headers;
    if headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded") {
        return Err(Refusal::invalid("forwarded requests are not accepted"));
    }
    let is_absolute = parts.uri.authority().is_some() && parts.version != Version::HTTP_2;
    if is_absolute || parts.method == Method::CONNECT {
        return Err(Refusal::invalid("the proxy serves AWS endpoints only; it is no HTTP proxy"));
    }
    let address = server.address().to_string();
    let has_other_host = headers.get_all(HOST).iter().any(|host| host.as_bytes() != address.as_bytes());
    if has_other_host || host_of(parts) != Some(address.as_str()) {
        return Err(Refusal::denied("the Host header must be the literal address"));
    }
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 || (lengths == 1 && headers.contains_key(TRANSFER_ENCODING)) {
        return Err(Refusal::invalid("the length of the body is ambiguous"));
    }
    Ok(())
}

/// Finds the placeholder by its access key id, and compares its token. Both failures look the same.
fn find_placeholder(
    server: &ProxyServer,
    parts: &Parts,
    signature: &ReceivedSignature,
) -> Result<Arc<PlaceholderState>, Refusal> {
    let unknown = || Refusal::denied("these keys are not placeholders of this proxy, or no longer valid");
    let placeholder = server.find(&signature.access_key_id).ok_or_else(unknown)?;
    let token = single(&parts.headers, TOKEN_HEADER).unwrap_or_default();
    if placeholder.verify_token(token) {
        return Ok(placeholder);
    }
    placeholder.account.audit(AuditEvent::Deny, &placeholder.holder, Some(&unknown().to_error()));
    Err(unknown())
}

async fn forward(
    server: &ProxyServer,
    placeholder: &PlaceholderState,
    (parts, signature): (&Parts, &ReceivedSignature),
    body: Incoming,
    record: &mut ExchangeRecord,
) -> Result<Response<ForwardedBody>, Refusal> {
    let payload = read_payload(parts, body).await?;
    let now = server.settings.clock.now();
    let signed_at = signature.verify(parts, payload.hash.as_str(), &placeholder.key, now)?;
    let identity = RequestIdentity::new(&signature.signature, &parts.headers, signed_at);
    placeholder.replays.lock().record(&identity, now)?;
    let (service, path) = split_path(&parts.uri, &signature.signing_name)?;
    let (name, region) = (&signature.signing_name, &signature.region);
    let route = server.routes().find(name, region, service, server.settings.variant)?;
    record.addressed(route.service(), region);
    let operation = operation_of(parts, &path, &payload.form, route.service())?;
    record.operation(operation.as_deref());
    placeholder.rules.check(route.service(), operation.as_deref(), region)?;
    let credentials = placeholder.account.credentials().await.map_err(|error| Refusal::from(&error))?;
    let uri = server.settings.upstream(&route, &path).ok_or_else(unsignable)?;
    let request = signed_request(server, (parts, signature), (&route, uri), payload, &credentials)?;
    let request = request.map(|body| record.sending(&credentials, body));
    send(server, request).await
}

/// Buffers a body whose hash is needed before the service gets it, or that may name the operation.
async fn read_payload(parts: &Parts, body: Incoming) -> Result<Payload, Refusal> {
    let declared = declared_hash(parts)?.map(DeclaredHash::parse).transpose()?;
    match declared {
        Some(hash) if !is_form(parts) && !body.is_end_stream() => {
            Ok(Payload { body: streamed(body, &hash), hash, form: Bytes::new() })
        }
        declared => {
            let slow = |_elapsed| Refusal::invalid("the body did not arrive in time");
            let body = timeout(BODY_TIMEOUT, read_body(body)).await.map_err(slow)??;
            let actual = DeclaredHash::Sha256(sha256_hex(&body));
            if declared
                .as_ref()
                .is_some_and(|hash| matches!(hash, DeclaredHash::Sha256(_)) && *hash != actual)
            {
                return Err(Refusal::signature("the body differs from its signed hash"));
            }
            let form = if is_form(parts) { body.clone() } else { Bytes::new() };
            Ok(Payload { body: full(body), hash: declared.unwrap_or(actual), form })
        }
    }
}

/// Splits `/~service/rest` into the service and the path for it. Some SDKs double the slash after the prefix.
fn split_path<'a>(uri: &'a Uri, signing_name: &str) -> Result<(Option<&'a str>, String), Refusal> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let has_dots = uri.path().split('/').any(|segment| matches!(segment, "." | ".."));
    if has_dots && !signs_raw_path(signing_name) {
        return Err(Refusal::invalid("paths with `.` or `..` are not forwarded"));
    }
    let Some(prefixed) = path.strip_prefix("/~") else { return Ok((None, path.to_owned())) };
    let end = prefixed.find(['/', '?']).unwrap_or(prefixed.len());
    let (service, rest) = prefixed.split_at(end);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    Ok((Some(service), format!("/{rest}")))
}

/// Builds the request to the service: the headers that the client signed are signed again, with date, token and hash of
/// its own.
fn signed_request(
    server: &ProxyServer,
    (parts, signature): (&Parts, &ReceivedSignature),
    (route, uri): (&Route<'_>, Uri),
    payload: Payload,
    credentials: &Credentials,
) -> Result<Request<ForwardedBody>, Refusal> {
    let headers = forwarded_headers(&parts.headers);
    let body = match &payload.hash {
        DeclaredHash::Sha256(hash) => SignableBody::Precomputed(hash.clone()),
        DeclaredHash::Unsigned(mode) if mode == "UNSIGNED-PAYLOAD" => SignableBody::UnsignedPayload,
        DeclaredHash::Unsigned(_) => SignableBody::StreamingUnsignedPayloadTrailer,
    };
    let signed = headers
        .iter()
        .filter(|(name, _)| signature.is_signed(name.as_str()) && !UNSIGNED_HEADERS.contains(&name.as_str()))
        .map(|(name, value)| {
            Ok((name.as_str(), std::str::from_utf8(value.as_bytes()).map_err(|_| unsignable())?))
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    let signable = SignableRequest::new(parts.method.as_str(), uri.to_string(), signed.into_iter(), body)
        .map_err(|_| unsignable())?;
    let signing_name = route.service().signing_name();
    let with_hash = signs_raw_path(signing_name) || parts.headers.contains_key(CONTENT_HASH_HEADER);
    let scope = Scope { region: route.signing_region(), signing_name, time: server.settings.clock.now() };
    let (instructions, _) = sign(signable, &credentials.expose_to_sdk(), scope, with_hash)?;
    let mut request = Request::new(payload.body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    for (name, value) in instructions.headers() {
        let mut value = HeaderValue::from_str(value).map_err(|_| unsignable())?;
        value.set_sensitive(true);
        request.headers_mut().insert(http::HeaderName::try_from(name).map_err(|_| unsignable())?, value);
    }
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

async fn send(
    server: &ProxyServer,
    request: Request<ForwardedBody>,
) -> Result<Response<ForwardedBody>, Refusal> {
    let unavailable = |message| Refusal::new(RefusalKind::Unavailable, message);
    let response = timeout(RESPONSE_TIMEOUT, server.client.request(request))
        .await
        .map_err(|_elapsed| unavailable("the service did not respond in time"))?
        .map_err(|error| {
            tracing::debug!(%error, "a request could not be forwarded");
            unavailable("the service cannot be reached, or the body is incomplete")
        })?;
    let (mut parts, body) = response.into_parts();
    parts.headers = forwarded_headers(&parts.headers);
    parts.version = Version::default();
    Ok(Response::from_parts(parts, body.map_err(BodyError::from).boxed_unsync()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_path_prefix_is_service() {
        for (path, service, rest) in [
            ("/~bedrock/model/x?y", Some("bedrock"), "/model/x?y"),
            ("/~bedrock//model", Some("bedrock"), "/model"),
            ("/~bedrock", Some("bedrock"), "/"),
            ("/~bedrock/?a", Some("bedrock"), "/?a"),
            ("/model//x", None, "/model//x"),
        ] {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(split_path(&uri, "bedrock"), Ok((service, rest.to_owned())), "{path}");
        }
    }

    #[test]
    fn split_path_dots_are_refused_outside_s3() {
        let uri: Uri = "/~bedrock/../~other/x".parse().unwrap();
        assert!(split_path(&uri, "bedrock").is_err() && split_path(&uri, "s3").is_ok());
    }
}
