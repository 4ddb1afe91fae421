//! The listener, the limits on its connections, the checks that precede any access to credentials, and the responses.
//!
//! Connections are limited in number and duration, and serve one request each. A child that opens connections without
//! sending a request must not lock out the others: at the limit, the oldest connection without a request is closed.
//! Connections with a request are kept.
//!
//! | request | response |
//! |---|---|
//! | `GET /credentials/ID` with the grant's token and the literal address as `Host`, also without its port, as the C runtime of the SDKs sends it | 200 and the credentials |
//! | a path or a token that no grant has | 403 `Forbidden`, the same for both |
//! | another `Host` header, as a page in a browser may send | 403 `Forbidden` |
//! | a request that went through a proxy | 400 `Forwarded` |
//! | another method | 405 `MethodNotAllowed` |
//! | more than 256 requests at once, or 64 of one grant | 429 `TooManyRequests` |
//! | the account has no credentials: `Closed`, `NotConfigured` | 403 |
//! | the same: `Denied`, `Invalid`, `InteractionRequired` | 400 |
//! | the same: every other kind, which a later request may not meet | 503 |
//!
//! SDKs retry after 5xx and give up after 4xx. So a status of 4xx means that a repeated request cannot succeed without
//! another action.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};
use uuid::Uuid;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Clock, Credentials, Error, ErrorKind, Expiry};

use super::AdvertisedExpiry;
use super::grant::GrantState;

type Response = hyper::Response<Full<Bytes>>;

/// The path prefix of all grants; the grant's id follows.
pub(super) const CREDENTIALS_PATH: &str = "/credentials/";
/// Limit on concurrent requests; further ones are rejected and not queued.
const MAX_REQUESTS: usize = 256;
/// More than the number of concurrent requests, so that a client over that limit gets an error response.
const MAX_CONNECTIONS: usize = 320;
/// The time from connecting to the end of the response. Longer than the wait for an account's first credentials.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay before accepting again after an error, for example when the machine is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Limit on the size of a request head, in bytes. No SDK sends larger ones.
const MAX_HEAD_SIZE: usize = 16 * 1024;
/// The expiry reported for credentials that never expire, in [`AdvertisedExpiry::Actual`] mode.
const DEFAULT_ADVERTISED_EXPIRY: Duration = Duration::from_secs(3600);
/// Present in requests that went through a proxy.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The state that the listener's task and all grants share.
///
/// Invariant: a grant is in `grants` from its creation until it is dropped or the server stops. A request finds its
/// grant here, so a revoked grant has no effect from the next request on.
pub(super) struct EndpointServer {
    address: SocketAddr,
    grants: Mutex<HashMap<Uuid, Arc<GrantState>>>,
    requests: Semaphore,
    pub(super) clock: Arc<dyn Clock>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl EndpointServer {
    pub(super) async fn start(clock: Arc<dyn Clock>) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Arc::new(Self {
            address: listener.local_addr()?,
            grants: Mutex::default(),
            requests: Semaphore::new(MAX_REQUESTS),
            clock,
            task: Mutex::new(None),
        });
        // The task has only a weak reference to the server, so that dropping the last handle stops it.
        let serving = accept_connections(listener, Arc::downgrade(&server));
        *server.lock_task() = Some(tokio::spawn(serving));
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn register(&self, grant: Arc<GrantState>) {
        self.lock_grants().insert(grant.id, grant);
    }

    pub(super) fn revoke(&self, id: Uuid) {
        self.lock_grants().remove(&id);
    }

    /// Stops the listener and removes all grants, so that requests on open connections fail too.
    pub(super) async fn stop(&self) {
        self.lock_grants().clear();
        let task = self.lock_task().take();
        if let Some(task) = task {
            task.abort();
            let _aborted = task.await;
        }
    }

    /// Rejects requests that no SDK on this machine sends: from a page in a browser, through a proxy, or with another
    /// method.
    fn reject_unexpected(&self, request: &Request<Incoming>) -> Option<Response> {
        let headers = request.headers();
        if headers.contains_key(FORWARDED_FOR) {
            let message = "forwarded requests are refused";
            return Some(error_response(StatusCode::BAD_REQUEST, "Forwarded", message));
        }
        if !headers.get(HOST).is_some_and(|host| self.is_own_address(host)) {
            let message = "the Host header must be the literal address";
            return Some(error_response(StatusCode::FORBIDDEN, "Forbidden", message));
        }
        if request.method() != Method::GET {
            let mut refused =
                error_response(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "only GET is allowed");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return Some(refused);
        }
        None
    }

    /// Whether a `Host` header is the literal address, with or without the port. A page in a browser sends the name that it
    /// was loaded from, or the port.
    fn is_own_address(&self, host: &HeaderValue) -> bool {
        host == self.address.to_string().as_str() || host == self.address.ip().to_string().as_str()
    }

    /// Responds to a request for the credentials of a grant. A grant that does not exist gives the same error as a
    /// wrong token.
    async fn serve_credentials(&self, path: &str, headers: &HeaderMap) -> Response {
        let Ok(_permit) = self.requests.try_acquire() else { return too_many_requests_response() };
        let Some(grant) = self.find_grant(path, headers) else {
            return error_response(StatusCode::FORBIDDEN, "Forbidden", "no such grant");
        };
        let Ok(_permit) = grant.requests.try_acquire() else { return too_many_requests_response() };
        match grant.current_credentials(self.clock.now()).await {
            Ok(credentials) => {
                grant.register_secret(&credentials);
                grant.account.audit(AuditEvent::Serve, &grant.holder, None);
                credentials_response(&credentials, grant.advertised_expiry, self.clock.now())
            }
            Err(error) => {
                grant.account.audit(AuditEvent::Deny, &grant.holder, Some(&error));
                response_from_error(&error)
            }
        }
    }

    /// Returns the grant at this path, if the authorization header has its token. A wrong token is recorded in the
    /// audit log.
    fn find_grant(&self, path: &str, headers: &HeaderMap) -> Option<Arc<GrantState>> {
        let id = Uuid::try_parse(path.strip_prefix(CREDENTIALS_PATH)?).ok()?;
        let grant = self.lock_grants().get(&id).cloned()?;
        let token = headers.get(AUTHORIZATION).and_then(|token| token.to_str().ok());
        if token.is_some_and(|token| grant.verify_token(token)) {
            return Some(grant);
        }
        let denied = Error::new(ErrorKind::Denied, "the request had a token that is not the grant's");
        grant.account.audit(AuditEvent::Deny, &grant.holder, Some(&denied));
        None
    }

    fn lock_grants(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<GrantState>>> {
        self.grants.lock()
    }

    fn lock_task(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock()
    }
}

impl Drop for EndpointServer {
    fn drop(&mut self) {
        if let Some(task) = self.lock_task().take() {
            task.abort();
        }
    }
}

fn too_many_requests_response() -> Response {
    error_response(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "too many requests at a time")
}

/// Accepts connections until the future is dropped, which ends every open connection.
async fn accept_connections(listener: TcpListener, server: Weak<EndpointServer>) {
    let mut open = ConnectionSet::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open.accept(stream, &server),
            Err(error) => {
                tracing::debug!(%error, "the credential endpoint could not accept");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct ConnectionSet(VecDeque<OpenConnection>);

struct OpenConnection {
    task: AbortHandle,
    /// Whether a request was read.
    has_request: Arc<AtomicBool>,
}

impl ConnectionSet {
    /// Serves the connection. At the limit, it replaces the oldest connection without a request; if there is none,
    /// the new connection is refused.
    fn accept(&mut self, stream: TcpStream, server: &Weak<EndpointServer>) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() >= MAX_CONNECTIONS {
            let idle = self.0.iter().position(|connection| !connection.has_request.load(Ordering::Acquire));
            if idle.and_then(|idle| self.0.remove(idle)).is_none() {
                return;
            }
        }
        let has_request = Arc::new(AtomicBool::new(false));
        let serving = serve_connection(stream, Weak::clone(server), Arc::clone(&has_request));
        self.0.push_back(OpenConnection { task: tokio::spawn(serving).abort_handle(), has_request });
    }
}

/// Serves one request.
async fn serve_connection(stream: TcpStream, server: Weak<EndpointServer>, has_request: Arc<AtomicBool>) {
    let service = service_fn(|request: Request<Incoming>| {
        has_request.store(true, Ordering::Release);
        let server = Weak::clone(&server);
        async move { Ok::<_, Infallible>(handle_request(server, &request).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    // The result is not needed: after a timeout or an early disconnect, no client is waiting for the response.
    let _ended = timeout(CONNECTION_TIMEOUT, connection).await;
}

async fn handle_request(server: Weak<EndpointServer>, request: &Request<Incoming>) -> Response {
    let Some(server) = server.upgrade() else {
        return error_response(StatusCode::SERVICE_UNAVAILABLE, "Stopping", "the endpoint is stopping");
    };
    match server.reject_unexpected(request) {
        Some(refused) => refused,
        None => server.serve_credentials(request.uri().path(), request.headers()).await,
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Builds the response. All four fields are always present, because SDKs require them. For keys without a session
/// token, `Token` is empty, which boto3, the CLI and JavaScript treat as absent.
fn credentials_response(
    credentials: &Credentials,
    advertised_expiry: AdvertisedExpiry,
    now: SystemTime,
) -> Response {
    let mut body = json!({
        "AccessKeyId": credentials.access_key_id().as_str(),
        "SecretAccessKey": credentials.expose_secret_access_key(),
        "Token": credentials.expose_session_token().unwrap_or_default(),
        "Expiration": advertised_expiry_at(credentials.expiry(), advertised_expiry, now).to_string(),
    });
    if let (Some(account), Some(fields)) = (credentials.account_id(), body.as_object_mut()) {
        fields.insert("AccountId".to_owned(), Value::from(account.as_str()));
    }
    json_response(StatusCode::OK, &body)
}

/// Returns the expiry to report. It is never later than the real one, so that no client uses credentials that AWS
/// rejects.
fn advertised_expiry_at(expiry: Expiry, advertised_expiry: AdvertisedExpiry, now: SystemTime) -> Expiry {
    let real = expiry.instant();
    let advertised = match advertised_expiry {
        AdvertisedExpiry::AtMost(limit) => now + limit,
        AdvertisedExpiry::Actual => real.unwrap_or(now + DEFAULT_ADVERTISED_EXPIRY),
    };
    Expiry::At(real.map_or(advertised, |real| real.min(advertised)))
}

/// Builds the response for an error. SDKs show its text to people: it has a code and a sentence, and no secret.
fn response_from_error(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Closed | ErrorKind::NotConfigured => StatusCode::FORBIDDEN,
        ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::InteractionRequired => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    error_response(status, error.kind().code(), &error.to_string())
}

fn error_response(status: StatusCode, code: &str, message: &str) -> Response {
    json_response(status, &json!({"code": code, "message": message}))
}

/// Closes the connection after the response, so that an idle client does not occupy a connection.
fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    for (name, value) in
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (CONNECTION, "close")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use valetkey_core::testing::ManualClock;

    #[test]
    fn advertised_expiry_is_the_earlier_of_limit_and_actual_expiry() {
        let now = ManualClock::new().now();
        let minute = Duration::from_secs(60);
        let limit = AdvertisedExpiry::AtMost(4 * minute);
        assert_eq!(advertised_expiry_at(Expiry::At(now + minute), limit, now), Expiry::At(now + minute));
        assert_eq!(
            advertised_expiry_at(Expiry::At(now + 60 * minute), limit, now),
            Expiry::At(now + 4 * minute)
        );
        assert_eq!(advertised_expiry_at(Expiry::Never, limit, now), Expiry::At(now + 4 * minute));
        assert_eq!(
            advertised_expiry_at(Expiry::At(now + 60 * minute), AdvertisedExpiry::Actual, now),
            Expiry::At(now + 60 * minute)
        );
    }
}
