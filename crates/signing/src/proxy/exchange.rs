//! One request: verified with its placeholder, decided on, signed with the session's credentials, and forwarded.
//!
//! | request | response |
//! |---|---|
//! | verified and permitted | that of the service, streamed |
//! | forwarded, in absolute form, presigned, of ambiguous length | 400 |
//! | another `Host`, keys of no placeholder or of another program, a wrong signature, no route, a rule | 403 |
//! | the account has no credentials, or is cleared meanwhile | 403, or 503 if they may come later |
//! | a signature that was used before, too many requests | 429 |
//! | the service cannot be reached | 503 |

use std::sync::{Arc, Weak};

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use valetkey_core::audit::AuditEvent;

use super::connections::ClientConnection;
use super::record::ExchangeRecord;
use super::request_body::RequestBody;
use super::revocation::Revocation;
use super::server::ProxyServer;
use super::upstream::{send, signed_request};
use crate::operation::{RequestedOperation, protocol_of};
use crate::payload::ForwardedBody;
use crate::placeholder::PlaceholderState;
use crate::refusal::{Refusal, RefusalKind};
use crate::routes::{Protocol, RouteError};
use crate::signature::{TOKEN_HEADER, canonical_path, signs_raw_path, unsignable};
use crate::verification::{ReceivedSignature, RequestIdentity, host_of, single};

/// A header of all requests to S3 Control, which signs with the name of S3.
const S3_CONTROL_HEADER: &str = "x-amz-account-id";

/// Returns the response of the service, or the refusal in the form of the service's protocol.
pub(super) async fn handle_request(
    server: Weak<ProxyServer>,
    client: &ClientConnection,
    request: Request<Incoming>,
) -> Response<ForwardedBody> {
    let (parts, body) = request.into_parts();
    let Some(server) = server.upgrade() else {
        let stopping = Refusal::new(RefusalKind::Unavailable, "the proxy is stopping");
        return refusal_response(&stopping, Protocol::RestJson);
    };
    match exchange(&server, client, &parts, body).await {
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
    let service = split_path(&parts.uri, &signing_name).ok().and_then(|(service, _)| service);
    protocol_of(parts, server.routes().protocol(&signing_name, service).unwrap_or(Protocol::RestJson))
}

async fn exchange(
    server: &ProxyServer,
    client: &ClientConnection,
    parts: &Parts,
    body: Incoming,
) -> Result<Response<ForwardedBody>, Refusal> {
    check_connection(server, parts)?;
    let signature = ReceivedSignature::from_parts(parts)?;
    let placeholder = find_placeholder(server, parts, &signature)?;
    let mut record = ExchangeRecord::begin(&placeholder);
    match forward(server, (client, &*placeholder), (parts, &signature), body, &mut record).await {
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
    (client, placeholder): (&ClientConnection, &PlaceholderState),
    (parts, signature): (&Parts, &ReceivedSignature),
    body: Incoming,
    record: &mut ExchangeRecord,
) -> Result<Response<ForwardedBody>, Refusal> {
    let throttled = || Refusal::new(RefusalKind::Throttled, "too many requests at a time");
    let _permit = server.requests.try_acquire().map_err(|_| throttled())?;
    // Before the placeholder's own limit, which no other program may use up.
    client.check(placeholder, server.address()).await?;
    let _permit = placeholder.requests.try_acquire().map_err(|_| throttled())?;
    let body = RequestBody::read(parts, body).await?;
    let now = server.settings.clock.now();
    let received = signature.verify(parts, body.hash.as_str(), &placeholder.key, now)?;
    let identity = RequestIdentity::new(&signature.signature, parts, received.signed_at);
    placeholder.replays.lock().record(&identity, now)?;
    let (name, region) = (&signature.signing_name, &signature.region);
    let (service, path) = split_path(&parts.uri, name)?;
    if service.is_none() && name == "s3" && parts.headers.contains_key(S3_CONTROL_HEADER) {
        return Err(RouteError::AmbiguousService("s3, s3control".to_owned()).into());
    }
    let route = server.routes().find(name, region, service, server.settings.variant)?;
    record.addressed(route.service(), region);
    let operation = RequestedOperation::find(server.routes(), route.service(), (parts, &path), &body.form)?;
    record.operation(operation.name());
    placeholder.rules.check(&operation, region)?;
    placeholder.count_request(now)?;
    let (credentials, mut revocation) = Revocation::credentials(&placeholder.account).await?;
    let uri = server.settings.upstream(&route, &path).ok_or_else(unsignable)?;
    let failure = body.failure.clone();
    let request = signed_request(server, &received, (&route, uri), body, &credentials)?;
    let request = request.map(|body| record.sending(&credentials, body));
    let response = revocation.guard(send(server, request, &failure)).await.flatten();
    if !was_carried_out(&response) {
        placeholder.replays.lock().forget(&identity);
    }
    Ok(response?.map(|body| revocation.guard_body(body)))
}

/// Whether the service may have carried out a request: it has neither failed nor refused it as too many.
fn was_carried_out(response: &Result<Response<ForwardedBody>, Refusal>) -> bool {
    match response {
        Ok(response) => {
            !response.status().is_server_error() && response.status() != StatusCode::TOO_MANY_REQUESTS
        }
        Err(refusal) => refusal.kind != RefusalKind::Unavailable,
    }
}

/// Splits `/~service/rest` into the service and the path as it reads it. Some SDKs double the slash after the prefix.
fn split_path<'a>(uri: &'a Uri, signing_name: &str) -> Result<(Option<&'a str>, String), Refusal> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let has_dots = uri.path().split('/').any(|segment| matches!(segment, "." | ".."));
    if has_dots && !signs_raw_path(signing_name) {
        return Err(Refusal::invalid("paths with `.` or `..` are not forwarded"));
    }
    let canonical = |path| canonical_path(path, signing_name).into_owned();
    let Some(prefixed) = path.strip_prefix("/~") else { return Ok((None, canonical(path))) };
    let end = prefixed.find(['/', '?']).unwrap_or(prefixed.len());
    let (service, rest) = prefixed.split_at(end);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    Ok((Some(service), canonical(&format!("/{rest}"))))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;

    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::proxy::ProxySettings;
    use crate::routes::{EndpointVariant, Routes, ServiceRoute};

    /// Parts of paths, names and regions, some of which select an entry of the table.
    const WORDS: [&str; 24] = [
        "/",
        "//",
        "/~",
        "~",
        "s3",
        "sts",
        "bedrock-runtime",
        "bedrock",
        "dynamodb",
        "us-east-1",
        "eu-west-1",
        "..",
        ".",
        "%2f",
        "%2E",
        "@",
        "attacker.example",
        ":80",
        "\\",
        "?",
        "&",
        "Action=GetCallerIdentity",
        "{region}",
        "{suffix}",
    ];

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..8).prop_map(|words| words.concat()),
            1 => any::<String>(),
        ]
    }

    fn hosts(routes: &Routes) -> HashSet<String> {
        let found = |service: &ServiceRoute, region: &str| {
            let name = Some(service.name());
            routes.find(service.signing_name(), region, name, EndpointVariant::Standard).ok()
        };
        let regions: Vec<&str> = routes.regions().collect();
        routes
            .services()
            .flat_map(|service| regions.iter().filter_map(move |region| found(service, region)))
            .map(|route| route.host().to_owned())
            .collect()
    }

    #[test]
    fn arbitrary_request_selects_host_of_table_or_none() {
        let routes = Routes::new().unwrap();
        let (hosts, settings) = (hosts(&routes), ProxySettings::default());
        let (mut runner, selected) = (TestRunner::default(), Cell::new(0));
        let name = prop::sample::select(vec!["s3", "sts", "bedrock", "dynamodb", "attacker.example"]);
        let region = prop_oneof![Just("us-east-1".to_owned()), text()];
        let outcome = runner.run(&(name, region, text(), text()), |(name, region, path, target)| {
            let request =
                Request::builder().method("POST").uri(format!("/{path}")).header("x-amz-target", target);
            let Ok(request) = request.body(()) else { return Ok(()) };
            let (parts, ()) = request.into_parts();
            let Ok((service, rest)) = split_path(&parts.uri, name) else { return Ok(()) };
            let Ok(route) = routes.find(name, &region, service, EndpointVariant::Standard) else {
                return Ok(());
            };
            selected.set(selected.get() + 1);
            prop_assert!(hosts.contains(route.host()), "{}", route.host());
            let _refused = RequestedOperation::find(&routes, route.service(), (&parts, &rest), b"");
            if let Some(uri) = settings.upstream(&route, &rest) {
                prop_assert_eq!((uri.scheme_str(), uri.host()), (Some("https"), Some(route.host())));
            }
            Ok(())
        });
        outcome.unwrap();
        assert!(selected.get() > 0);
    }

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
    fn split_path_of_s3_is_decoded_and_encoded_once() {
        for (path, rest) in [
            ("/b/%2Fk%2B+%7E%2e(%C3%BC)?prefix=%2F+", "/b//k%2B%20~.%28%C3%BC%29?prefix=%2F+"),
            ("/~s3/b%2Fk", "/b/k"),
            ("/b/100%", "/b/100%25"),
        ] {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(split_path(&uri, "s3").unwrap().1, rest, "{path}");
            assert!(split_path(&uri, "lambda").unwrap().1.contains('%'), "{path}");
        }
    }

    #[test]
    fn split_path_dots_are_refused_outside_s3() {
        let uri: Uri = "/~bedrock/../~other/x".parse().unwrap();
        assert!(split_path(&uri, "bedrock").is_err() && split_path(&uri, "s3").is_ok());
    }
}
