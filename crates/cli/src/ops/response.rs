//! The responses of the operations listener.
//!
//! | path | response |
//! |---|---|
//! | `/` | a page that shows the status |
//! | `/healthz` | 200 while this program serves requests |
//! | `/readyz` | 200 if MCP clients can be sent here, otherwise 503 with the reason |
//! | `/metrics` | the metrics, in the OpenMetrics text format |
//! | `/status` | the status, as JSON |
//! | `/access/…` | a decision of the operator, for POST only: see `decisions` |

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::access::Access;
use super::decisions::{Decisions, Reply};
use super::state::OpsState;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PAGE: &str = include_str!("page.html");
/// The page contains its style and its script, and reads and sends nothing elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                           connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Returns the response to a request. Only the body of a decision is read.
pub(super) async fn respond(
    state: &OpsState,
    access: &Access,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let (path, headers) = (head.uri.path(), &head.headers);
    if !access.is_own(headers) {
        return text(
            StatusCode::FORBIDDEN,
            "send the request to the address of this listener, and from no other site",
        );
    }
    match (head.method, Decisions::is_path(path)) {
        (Method::GET | Method::HEAD, false) => read(state, access, path, headers),
        (Method::POST, true) if !access.is_authorized(headers) => unauthorized(),
        (Method::POST, true) => match &state.decisions {
            Some(decisions) => match decisions.respond(access, path, headers, body).await {
                Reply::Json(json) => typed(StatusCode::OK, JSON, json),
                Reply::Text(status, what) => text(status, what),
            },
            None => text(StatusCode::FORBIDDEN, "this gateway takes no decisions: it has no socket"),
        },
        (_, true) => not_allowed("POST", "only POST decides"),
        (_, false) => not_allowed("GET, HEAD", "only GET and HEAD are supported"),
    }
}

/// Returns the response to a process that the gateway has started.
pub(super) fn refuse_server() -> Response<Full<Bytes>> {
    text(StatusCode::FORBIDDEN, "programs that this gateway has started cannot use its socket")
}

/// Returns the response to a request that changes nothing.
fn read(state: &OpsState, access: &Access, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    // Probes have no token, and learn nothing about a session.
    match path {
        "/healthz" => return text(StatusCode::OK, "ok"),
        "/readyz" => {
            return match state.status().reason {
                None => text(StatusCode::OK, "ready"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
            };
        }
        _ if access.is_authorized(headers) => {}
        _ => return unauthorized(),
    }
    match path {
        "/" => page(),
        "/metrics" => typed(StatusCode::OK, OPEN_METRICS, state.metrics()),
        "/status" => match serde_json::to_string(&state.full_status(access)) {
            Ok(status) => typed(StatusCode::OK, JSON, status),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the status cannot be serialized"),
        },
        _ => text(StatusCode::NOT_FOUND, "use /healthz, /readyz, /metrics or /status"),
    }
}

fn unauthorized() -> Response<Full<Bytes>> {
    text(StatusCode::UNAUTHORIZED, "a bearer token of `[ops] token_sha256` is needed")
}

fn not_allowed(methods: &'static str, what: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, what);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = typed(status, TEXT, format!("{text}\n"));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
    }
    response
}

fn page() -> Response<Full<Bytes>> {
    let mut response = typed(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    response.headers_mut().insert("content-security-policy", HeaderValue::from_static(PAGE_POLICY));
    response
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}
