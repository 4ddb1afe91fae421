//! The listener, and the checks that precede any access to credentials.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, HOST, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use uuid::Uuid;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Clock, Error, ErrorKind};

use super::connections;
use super::grant::GrantState;
use super::response::{self, error_response};

/// The path prefix of all grants; the grant's id follows.
pub(super) const CREDENTIALS_PATH: &str = "/credentials/";
/// Limit on concurrent requests; further ones are rejected and not queued.
const MAX_REQUESTS: usize = 256;

pub(super) struct EndpointServer {
    address: SocketAddr,
    lock_grants: Mutex<HashMap<Uuid, Arc<GrantState>>>,
    requests: Semaphore,
    pub(super) clock: Arc<dyn Clock>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl EndpointServer {
    pub(super) async fn start(clock: Arc<dyn Clock>) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Arc::new(Self {
            address: listener.local_addr()?,
            lock_grants: Mutex::default(),
            requests: Semaphore::new(MAX_REQUESTS),
            clock,
            task: Mutex::new(None),
        });
        // The task has only a weak reference to the server, so that dropping the last handle stops it.
        let serving = Arc::downgrade(&server);
        // One handler for every path: a grant that does not exist gives the same error as a wrong token.
        let router = Router::new()
            .fallback(serve_credentials)
            .layer(middleware::from_fn_with_state(serving.clone(), reject_unexpected_requests))
            .with_state(serving);
        *server.lock_task() = Some(tokio::spawn(connections::accept_connections(listener, router)));
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn register(&self, entry: Arc<GrantState>) {
        self.grants().insert(entry.id, entry);
    }

    pub(super) fn revoke(&self, id: Uuid) {
        self.grants().remove(&id);
    }

    /// Stops the listener and removes all grants, so that requests on open connections fail too.
    pub(super) async fn stop(&self) {
        self.grants().clear();
        let task = self.lock_task().take();
        if let Some(task) = task {
            task.abort();
            let _aborted = task.await;
        }
    }

    /// Returns the grant at this path, if the authorization header has its token. A wrong token is recorded in the
    /// audit log.
    fn lookup(&self, path: &str, headers: &HeaderMap) -> Option<Arc<GrantState>> {
        let id = Uuid::try_parse(path.strip_prefix(CREDENTIALS_PATH)?).ok()?;
        let entry = self.grants().get(&id).cloned()?;
        let token = headers.get(AUTHORIZATION).and_then(|token| token.to_str().ok());
        if token.is_some_and(|token| entry.verify_token(token)) {
            return Some(entry);
        }
        let denied = Error::new(ErrorKind::Denied, "asked with a token that is not the grant's");
        entry.account.audit(AuditEvent::Deny, &entry.holder, Some(&denied));
        None
    }

    fn grants(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<GrantState>>> {
        self.lock_grants.lock()
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

/// Rejects requests that no SDK on this machine sends: from a page in a browser, through a proxy, or with another
/// method.
async fn reject_unexpected_requests(
    State(server): State<Weak<EndpointServer>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(server) = server.upgrade() else {
        return error_response(StatusCode::SERVICE_UNAVAILABLE, "Stopping", "the endpoint is stopping");
    };
    let headers = request.headers();
    if headers.contains_key("x-forwarded-for") {
        return error_response(StatusCode::BAD_REQUEST, "Forwarded", "forwarded requests are not answered");
    }
    if headers.get(HOST).and_then(|host| host.to_str().ok()) != Some(server.address.to_string().as_str()) {
        return error_response(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "the Host header must be the literal address",
        );
    }
    if request.method() != Method::GET {
        let mut refused =
            error_response(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "only GET is answered");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    let Ok(_permit) = server.requests.try_acquire() else { return too_many_requests_response() };
    next.run(request).await
}

fn too_many_requests_response() -> Response {
    error_response(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "too many requests at a time")
}

async fn serve_credentials(
    State(server): State<Weak<EndpointServer>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(server) = server.upgrade() else {
        return error_response(StatusCode::SERVICE_UNAVAILABLE, "Stopping", "the endpoint is stopping");
    };
    let Some(entry) = server.lookup(uri.path(), &headers) else {
        return error_response(StatusCode::FORBIDDEN, "Forbidden", "no such grant");
    };
    let Ok(_permit) = entry.requests.try_acquire() else { return too_many_requests_response() };
    match response::current_credentials(&entry, server.clock.now()).await {
        Ok(credentials) => {
            entry.register_secret(&credentials);
            entry.account.audit(AuditEvent::Serve, &entry.holder, None);
            response::credentials_response(&credentials, entry.advertised_expiry, server.clock.now())
        }
        Err(error) => {
            entry.account.audit(AuditEvent::Deny, &entry.holder, Some(&error));
            response::response_from_error(&error)
        }
    }
}
