//! The checks that precede any protocol message, in this order: names, paths, authentication, method.

use std::sync::Arc;

use hyper::body::Incoming as IncomingBody;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use hyper::{Method, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use valetkey_core::{Principal, SessionHandle};

use super::auth::{Authority, Lease, LeaseEnd, VerifiedCaller};
use super::catalog::Catalog;
use super::challenge::{refuse, resource_metadata};
use super::events::event_stream;
use super::headers::accepts;
use super::live_config::LiveConfigCell;
use super::message::{check_known, version_header};
use super::protocol_sessions::{ProtocolSession, ProtocolSessions};
use super::quota::Quotas;
use super::response::{
    HttpResponse, INVALID_REQUEST, RpcError, method_not_allowed, session_not_found, text, too_many_requests,
};
use super::session_key::SessionKey;
use super::site::{Resource, Route, Site, single};
use super::stream::SessionMessages;
use super::tenants::Tenants;
use super::tls::TlsIdentity;
use super::{post, response};
use crate::gateway::ChangeNotifier;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const CREDENTIAL_SESSION: HeaderName = HeaderName::from_static("valetkey-session");
const NODE: HeaderName = HeaderName::from_static("valetkey-node");

/// The state of a running gateway.
pub(super) struct HttpState {
    pub(super) site: Site,
    /// Encrypts connections, if configured.
    pub(super) tls: Option<TlsIdentity>,
    pub(super) live: LiveConfigCell,
    pub(super) tenants: Arc<Tenants>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) protocol_sessions: ProtocolSessions,
    pub(super) quotas: Arc<Quotas>,
    /// Requests in progress.
    pub(super) requests: TaskTracker,
    /// Fires when the gateway stops: streams end, and no further request is read.
    pub(super) stopping: CancellationToken,
    /// Cancels the requests that are in progress when the time for finishing them is over.
    pub(super) abandoned: CancellationToken,
    /// Closes the connections that are still open.
    pub(super) closed: CancellationToken,
}

impl HttpState {
    /// Returns the changes that the clients of a principal are notified of: those of the catalog, and those that the
    /// servers of the principal's sessions announce.
    pub(super) fn changes(&self, principal: &Principal) -> ChangeNotifier {
        self.catalog.changes().with_lists(self.tenants.list_changes(principal))
    }
}

/// The verified sender of a request, and the sessions that its headers name.
pub(super) struct Caller {
    authority: Authority,
    /// The handle of a credential session.
    pub(super) handle: Option<SessionKey>,
    /// The id of a protocol session, as sent.
    session_id: Option<String>,
}

/// The protocol session that a request names.
pub(super) enum NamedSession {
    None,
    Found(Arc<ProtocolSession>),
    /// There is none with this id, or it belongs to another principal.
    NotFound,
}

/// Responds to one request. The response of a gateway with shared sessions names the node.
pub(super) async fn handle(state: Arc<HttpState>, request: Request<IncomingBody>) -> HttpResponse {
    let node = state.tenants.node_header();
    let mut response = respond(state, request).await;
    if let Some(node) = node {
        response.headers_mut().insert(NODE, node);
    }
    response
}

/// No body is read before the sender is known.
async fn respond(state: Arc<HttpState>, request: Request<IncomingBody>) -> HttpResponse {
    if !state.site.is_allowed(request.headers()) {
        return text(
            StatusCode::FORBIDDEN,
            "the request was sent to another host, or by a page of another site",
        );
    }
    let live = state.live.current();
    let (path_handle, resource) = match state.site.route(request.uri().path()) {
        Route::Mcp => (None, Resource::Endpoint),
        Route::Session(handle) => match handle.parse() {
            Ok(handle) => (Some(handle), Resource::Sessions),
            Err(_) => return not_found(),
        },
        Route::ResourceMetadata(resource) if request.method() == Method::GET => {
            let metadata = resource_metadata(&state.site, &live.authenticator, resource);
            return metadata.unwrap_or_else(not_found);
        }
        Route::ResourceMetadata(_) => return method_not_allowed("GET"),
        Route::Unknown => return not_found(),
    };
    let authority = match live.authenticator.authenticate(request.headers(), request.uri()).await {
        Ok(authority) => authority,
        Err(refusal) => {
            tracing::debug!(?refusal, "request refused");
            return refuse(&refusal, &state.site, &live.authenticator, resource);
        }
    };
    let (mut parts, body) = request.into_parts();
    // No later code can pass the caller's credentials on.
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        parts.headers.remove(name);
    }
    let caller = match Caller::new(authority, path_handle, &parts.headers) {
        Ok(caller) => caller,
        Err(error) => return error.into_response(None),
    };
    match parts.method {
        Method::POST => post::post(&state, caller, &parts.headers, body).await,
        Method::GET => get(&state, &caller, &parts.headers),
        Method::DELETE => delete(&state, &caller, &parts.headers),
        _ => method_not_allowed("POST, GET, DELETE"),
    }
}

fn not_found() -> HttpResponse {
    text(StatusCode::NOT_FOUND, "there is nothing at this path; MCP is at /mcp")
}

impl Caller {
    fn new(
        authority: Authority,
        path_handle: Option<SessionKey>,
        headers: &HeaderMap,
    ) -> Result<Self, RpcError> {
        let read = |name: &HeaderName, malformed: &'static str| match headers.contains_key(name) {
            false => Ok(None),
            true => single(headers, name).map(Some).ok_or(RpcError::bad_request(INVALID_REQUEST, malformed)),
        };
        let malformed = "the header `Valetkey-Session` is not the handle of a credential session";
        let handle = read(&CREDENTIAL_SESSION, malformed)?.map(str::parse).transpose();
        let handle: Option<SessionKey> =
            handle.map_err(|_| RpcError::bad_request(INVALID_REQUEST, malformed))?;
        if path_handle.as_ref().zip(handle.as_ref()).is_some_and(|(path, header)| !path.is_same(header)) {
            let message = "the path and the header `Valetkey-Session` name two credential sessions";
            return Err(RpcError::bad_request(INVALID_REQUEST, message));
        }
        let session_id = read(&SESSION_ID, "the header `Mcp-Session-Id` is malformed")?.map(str::to_owned);
        Ok(Self { authority, handle: path_handle.or(handle), session_id })
    }

    pub(super) fn principal(&self) -> &Principal {
        self.authority.caller.principal()
    }

    pub(super) fn verified(&self) -> &VerifiedCaller {
        &self.authority.caller
    }

    /// Returns the lease of a stream that this request opens.
    pub(super) fn lease(&self, state: &HttpState, end: LeaseEnd) -> Lease {
        self.authority.lease(&state.live, end)
    }

    /// Returns the protocol session that the request names, if it belongs to the caller.
    pub(super) fn protocol_session(&self, sessions: &ProtocolSessions) -> NamedSession {
        let Some(id) = &self.session_id else { return NamedSession::None };
        let found = id.parse().ok().and_then(|id| sessions.find(self.principal(), &id));
        found.map_or(NamedSession::NotFound, NamedSession::Found)
    }
}

/// Names a new protocol session in the response to `initialize`.
pub(super) fn add_session_id(response: &mut HttpResponse, id: SessionHandle) {
    if let Ok(id) = id.to_string().parse() {
        response.headers_mut().insert(SESSION_ID, id);
    }
}

pub(super) fn session_required() -> HttpResponse {
    let message = "the header `Mcp-Session-Id` is missing; initialize first";
    RpcError::bad_request(INVALID_REQUEST, message).into_response(None)
}

/// Returns the legacy session of a GET or DELETE request.
fn legacy_session(
    state: &HttpState,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Arc<ProtocolSession>, Box<HttpResponse>> {
    let version = version_header(headers).and_then(|version| check_known(version).map(|()| version));
    let version = version.map_err(|error| Box::new(error.into_response(None)))?;
    if version == Some(super::MODERN_VERSION) {
        return Err(Box::new(method_not_allowed("POST")));
    }
    match caller.protocol_session(&state.protocol_sessions) {
        NamedSession::Found(session) => Ok(session),
        NamedSession::NotFound => Err(Box::new(session_not_found(None))),
        NamedSession::None => Err(Box::new(session_required())),
    }
}

/// Opens the stream on which a legacy client learns of changes.
fn get(state: &HttpState, caller: &Caller, headers: &HeaderMap) -> HttpResponse {
    if !accepts(headers, "text/event-stream") {
        return text(StatusCode::NOT_ACCEPTABLE, "the client must accept text/event-stream");
    }
    let session = match legacy_session(state, caller, headers) {
        Ok(session) => session,
        Err(refused) => return *refused,
    };
    let Some(permit) = state.quotas.acquire(caller.principal()) else {
        return too_many_requests(None);
    };
    let updates = Arc::clone(session.subscriptions.queue());
    let changes = state.changes(caller.principal()).with_updates(updates);
    let messages = SessionMessages::open(changes, &session, permit);
    event_stream(messages, caller.lease(state, LeaseEnd::Expiry), state.stopping.clone())
}

/// Ends the protocol session. Credential sessions remain: some clients end their protocol session after each call.
fn delete(state: &HttpState, caller: &Caller, headers: &HeaderMap) -> HttpResponse {
    match legacy_session(state, caller, headers) {
        Ok(session) => {
            state.protocol_sessions.close(caller.principal(), &session.id);
            response::with_content(StatusCode::OK, "text/plain; charset=utf-8", "")
        }
        Err(refused) => *refused,
    }
}
