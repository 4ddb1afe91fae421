//! The listener, and the checks that come before any credentials are looked at.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use uuid::Uuid;
use valetkey_core::Clock;
use valetkey_core::audit::AuditEvent;

use super::answer::{self, refuse};
use super::grant::Entry;

/// More requests than this at a time are turned away rather than queued.
const MOST_REQUESTS: usize = 256;

pub(super) struct Server {
    address: SocketAddr,
    entries: Mutex<HashMap<Uuid, Arc<Entry>>>,
    requests: Semaphore,
    pub(super) clock: Arc<dyn Clock>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    pub(super) async fn start(clock: Arc<dyn Clock>) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Arc::new(Self {
            address: listener.local_addr()?,
            entries: Mutex::default(),
            requests: Semaphore::new(MOST_REQUESTS),
            clock,
            task: Mutex::new(None),
        });
        // The task holds the server weakly, so that the last handle ends it.
        let serving = Arc::downgrade(&server);
        let router = Router::new()
            .route("/credentials/{id}", any(credentials))
            .fallback(async || refuse(StatusCode::FORBIDDEN, "Forbidden", "no such grant"))
            .layer(middleware::from_fn_with_state(serving.clone(), guard))
            .with_state(serving);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the credential endpoint stopped");
            }
        });
        *server.task() = Some(task);
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn admit(&self, entry: Arc<Entry>) {
        self.entries().insert(entry.id, entry);
    }

    pub(super) fn dismiss(&self, id: Uuid) {
        self.entries().remove(&id);
    }

    pub(super) async fn stop(&self) {
        let task = self.task().take();
        if let Some(task) = task {
            task.abort();
            let _aborted = task.await;
        }
    }

    /// The grant that `id` and the authorization header name together.
    fn find(&self, id: &str, headers: &HeaderMap) -> Option<Arc<Entry>> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let entry = self.entries().get(&Uuid::try_parse(id).ok()?).cloned()?;
        entry.admits(token).then_some(entry)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }
}

/// Refuses what no SDK on this machine would send: a page in a browser, a proxy, another method.
async fn guard(State(server): State<Weak<Server>>, request: Request, next: Next) -> Response {
    let Some(server) = server.upgrade() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "Stopping", "the endpoint is stopping");
    };
    let headers = request.headers();
    if headers.contains_key("x-forwarded-for") {
        return refuse(StatusCode::BAD_REQUEST, "Forwarded", "forwarded requests are not answered");
    }
    if headers.get(HOST).and_then(|host| host.to_str().ok()) != Some(server.address.to_string().as_str()) {
        return refuse(StatusCode::FORBIDDEN, "Forbidden", "the Host header must be the literal address");
    }
    if request.method() != Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "only GET is answered");
    }
    let Ok(_permit) = server.requests.try_acquire() else {
        return refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "too many requests at a time");
    };
    next.run(request).await
}

async fn credentials(
    State(server): State<Weak<Server>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(server) = server.upgrade() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "Stopping", "the endpoint is stopping");
    };
    let Some(entry) = server.find(&id, &headers) else {
        return refuse(StatusCode::FORBIDDEN, "Forbidden", "no such grant");
    };
    match answer::current(&entry, server.clock.now()).await {
        Ok(credentials) => {
            entry.account.record(AuditEvent::Serve, &entry.holder, None);
            answer::credentials(&credentials, entry.leash, server.clock.now())
        }
        Err(error) => {
            entry.account.record(AuditEvent::Deny, &entry.holder, Some(&error));
            answer::failure(&error)
        }
    }
}
