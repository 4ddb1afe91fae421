//! `Decisions`: an operator decides about requests for access, and confirms sign-ins.
//!
//! | request | response |
//! |---|---|
//! | `POST /access/requests/ID` with `{"decision": "approve"}` or `{"decision": "deny"}` | 200 with the request; 404 if it does not wait |
//! | `POST /access/code`, over a socket | 200 with a code, and the address of the page that takes it |
//!
//! Each needs a proof that a person sends it who may decide:
//!
//! | listener | proof | channel |
//! |---|---|---|
//! | a Unix socket with mode 0600 | the process on the other side is one of the same user, or of root | `terminal` |
//! | a loopback address | the code that was issued last, in a header, from the page of this listener | `status_page` |
//! | an address that other machines reach | none: decisions are refused | |
//!
//! A code is valid for an hour, or until another one is issued. A page of another site can neither set the header nor send
//! JSON, and has another `Origin`. No cookie is read, and GET decides nothing.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use valetkey::audit::DecisionChannel;
use valetkey::mcp::{AccessRequests, PendingRequest};

use super::access::{Access, single};
use crate::trust::sha256_hex;

/// The path of a request, before its id.
const REQUEST_PATH: &str = "/access/requests/";
/// The path that issues a code.
const CODE_PATH: &str = "/access/code";
/// The header with the code.
const CODE_HEADER: &str = "valetkey-operator-code";
/// How long a code is valid.
const CODE_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Limit on the time for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit on the size of a body, in bytes.
const MAX_BODY_SIZE: usize = 1024;

/// The requests to a person of a gateway, and the code for decisions on its page.
pub(crate) struct Decisions {
    requests: AccessRequests,
    /// The address of the status page, if a listener can take its decisions.
    page: Option<String>,
    code: Mutex<Option<IssuedCode>>,
}

struct IssuedCode {
    /// In hexadecimal digits.
    digest: String,
    expires_at: Instant,
}

/// The requests as a listener shows them.
#[derive(Debug, Serialize)]
pub(super) struct AccessStatus {
    pub(super) requests: Vec<PendingRequest>,
    /// Whether the page of this listener takes decisions, with a code.
    accepts_code: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    decision: Decision,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approve,
    Deny,
}

/// The body of a response.
pub(super) enum Reply {
    Json(String),
    Text(StatusCode, &'static str),
}

impl Decisions {
    pub(crate) fn new(requests: AccessRequests, page: Option<String>) -> Self {
        Self { requests, page, code: Mutex::default() }
    }

    /// Whether a path is for decisions, which only POST makes.
    pub(super) fn is_path(path: &str) -> bool {
        path == CODE_PATH || path.starts_with(REQUEST_PATH)
    }

    /// Returns the number of requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.requests.waiting()
    }

    pub(super) fn status(&self, access: &Access) -> AccessStatus {
        AccessStatus { requests: self.requests.list(), accepts_code: access.accepts_code() }
    }

    /// Returns the response to a POST to `path`, which the rules of the listener have accepted.
    pub(super) async fn respond(
        &self,
        access: &Access,
        path: &str,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Reply {
        let channel = match self.check(access, headers) {
            Ok(channel) => channel,
            Err(what) => return Reply::Text(StatusCode::FORBIDDEN, what),
        };
        if !has_json_content(headers) {
            return Reply::Text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
        }
        let Some(body) = read_body(body).await else {
            return Reply::Text(StatusCode::BAD_REQUEST, "the body is too long, or was not sent in time");
        };
        match path.strip_prefix(REQUEST_PATH) {
            Some(id) => self.decide(id, channel, &body),
            None if channel == DecisionChannel::Terminal => self.issue_code(),
            None => Reply::Text(StatusCode::FORBIDDEN, "a code is issued by `valetkey access page`"),
        }
    }

    /// Returns where the person decides, if the request proves it.
    fn check(&self, access: &Access, headers: &HeaderMap) -> Result<DecisionChannel, &'static str> {
        if is_forwarded(headers) {
            return Err("decisions are not accepted through a proxy; use `valetkey access`");
        }
        if access.is_same_user() {
            return Ok(DecisionChannel::Terminal);
        }
        if !access.accepts_code() || !Access::is_from_page(headers) {
            return Err("decisions are not accepted here; use `valetkey access`");
        }
        let code = single(headers, CODE_HEADER).unwrap_or_default();
        if self.is_valid_code(code) {
            Ok(DecisionChannel::StatusPage)
        } else {
            Err(
                "the code is missing, wrong or too old; `valetkey access page` prints the address with another one",
            )
        }
    }

    fn is_valid_code(&self, code: &str) -> bool {
        let digest = sha256_hex(code.as_bytes());
        let issued = self.code.lock();
        issued.as_ref().is_some_and(|issued| {
            Instant::now() < issued.expires_at && digest.as_bytes().ct_eq(issued.digest.as_bytes()).into()
        })
    }

    fn issue_code(&self) -> Reply {
        let Some(page) = &self.page else {
            return Reply::Text(
                StatusCode::NOT_FOUND,
                "the gateway has no status page on a loopback address",
            );
        };
        let code = Uuid::new_v4().simple().to_string();
        let digest = sha256_hex(code.as_bytes());
        *self.code.lock() = Some(IssuedCode { digest, expires_at: Instant::now() + CODE_LIFETIME });
        Reply::Json(serde_json::json!({"page": page, "code": code}).to_string())
    }

    fn decide(&self, id: &str, channel: DecisionChannel, body: &[u8]) -> Reply {
        let Ok(DecisionBody { decision }) = serde_json::from_slice(body) else {
            return Reply::Text(
                StatusCode::BAD_REQUEST,
                "the body must be {\"decision\": \"approve\"} or {\"decision\": \"deny\"}",
            );
        };
        let decided = match decision {
            Decision::Approve => self.requests.approve(id, channel),
            Decision::Deny => self.requests.deny(id, channel),
        };
        match decided.ok().and_then(|request| serde_json::to_string(&request).ok()) {
            Some(request) => Reply::Json(request),
            None => Reply::Text(
                StatusCode::NOT_FOUND,
                "no such request waits: it was decided or withdrawn, or its time is over",
            ),
        }
    }
}

/// Whether a proxy has forwarded the request, which may have come from another machine.
fn is_forwarded(headers: &HeaderMap) -> bool {
    let is_of_proxy =
        |name: &str| matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-");
    headers.keys().any(|name| is_of_proxy(name.as_str()))
}

fn has_json_content(headers: &HeaderMap) -> bool {
    let content_type = single(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn read_body(body: Incoming) -> Option<Bytes> {
    let body = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_SIZE).collect()).await;
    body.ok()?.ok().map(http_body_util::Collected::to_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(decisions: &Decisions) -> String {
        let Reply::Json(issued) = decisions.issue_code() else { panic!("there is a page") };
        let issued: serde_json::Value = serde_json::from_str(&issued).unwrap();
        issued["code"].as_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn decisions_code_is_valid_until_next_one_or_hour() {
        let decisions = Decisions::new(AccessRequests::new(), Some("http://127.0.0.1:1/".to_owned()));
        assert!(!decisions.is_valid_code(""));
        let (first, second) = (issue(&decisions), issue(&decisions));
        assert!(!decisions.is_valid_code(&first) && !decisions.is_valid_code(""));
        assert!(decisions.is_valid_code(&second) && decisions.is_valid_code(&second));
        tokio::time::advance(CODE_LIFETIME).await;
        assert!(!decisions.is_valid_code(&second));
        let without_page = Decisions::new(AccessRequests::new(), None);
        assert!(matches!(without_page.issue_code(), Reply::Text(StatusCode::NOT_FOUND, _)));
    }

    #[test]
    fn decisions_refuse_forwarded_requests() {
        for (name, is_refused) in
            [("forwarded", true), ("x-forwarded-for", true), ("via", true), ("accept", false)]
        {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), "x".parse().unwrap())]);
            assert_eq!(is_forwarded(&headers), is_refused, "{name}");
        }
    }
}
