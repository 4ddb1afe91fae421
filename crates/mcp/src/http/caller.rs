//! `CallerTools`: the tools as one request sees them. Selects the credential session of a call.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use valetkey_core::{AccountName, Error, ErrorKind, Result};
use valetkey_tools::{CREDENTIAL_SESSION, ToolOutput};

use super::auth::VerifiedCaller;
use super::catalog::{CLOSE_SESSION, CREATE_SESSION, Catalog, LIST_SESSIONS};
use super::encoded_list::ListSlot;
use super::protocol_sessions::ProtocolSession;
use super::session_key::SessionKey;
use super::tenants::{TenantGuard, Tenants, no_session};
use crate::client::ClientContext;
use crate::connection::{ListKind, RefusedRequest};
use crate::gateway::{ContentSource, call_result};
use crate::host::{ItemRequest, ToolCall, error_result, unknown_task};
use crate::server::RequestFailure;
use crate::subscriptions::{ClientSubscriptions, ResourceSubscription, UpdateQueue};

/// The maximum length of a session's label.
const MAX_LABEL_CHARS: usize = 128;

/// The verified sender of a request, and what the request says about its credential session.
pub(super) struct CallerTools {
    pub(super) tenants: Arc<Tenants>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) caller: VerifiedCaller,
    /// The handle in the header.
    pub(super) handle: Option<SessionKey>,
    /// The protocol session of a legacy client.
    pub(super) protocol_session: Option<Arc<ProtocolSession>>,
    /// The list that the response contains.
    pub(super) encoded: ListSlot,
}

#[async_trait]
impl ContentSource for CallerTools {
    fn has_servers(&self) -> bool {
        self.catalog.has_servers()
    }

    fn has_tasks(&self) -> bool {
        self.catalog.has_tasks()
    }

    async fn may_be_task(&self, tool: &str) -> bool {
        self.catalog.may_be_task(tool).await
    }

    /// Returns no items: they are in the slot, encoded.
    async fn list(&self, kind: ListKind) -> Vec<Value> {
        let accounts = match kind {
            ListKind::Tools => self.accounts().await,
            _ => Vec::new(),
        };
        match self.catalog.encoded_list(kind, accounts).await {
            Ok(list) => self.encoded.set(list),
            Err(error) => tracing::error!(%error, list = kind.items_field(), "a list cannot be encoded"),
        }
        Vec::new()
    }

    async fn call_tool(
        &self,
        mut call: ToolCall,
        context: &ClientContext,
    ) -> std::result::Result<Option<Value>, RefusedRequest> {
        let arguments = call.arguments.get_or_insert_default();
        let own = match call.name.as_str() {
            CREATE_SESSION => Some(self.create(arguments).await),
            LIST_SESSIONS => Some(Ok(self.list_sessions())),
            CLOSE_SESSION => self.close(arguments).await,
            _ => None,
        };
        if let Some(output) = own {
            return Ok(Some(call_result(output.into())));
        }
        let selected = match self.select(arguments).await {
            Err(_)
                if self.names_no_session(arguments)
                    && self.catalog.is_credential_free_tool(&call.name).await =>
            {
                self.tenants.credential_free(&self.caller)
            }
            Err(_) if self.names_no_session(arguments) && !self.catalog.may_have_tool(&call.name).await => {
                return Ok(None);
            }
            selected => selected,
        };
        match selected {
            Ok(session) => self.tenants.call(&session, call, context).await,
            Err(error) => Ok(Some(error_result(&error))),
        }
    }

    async fn request(
        &self,
        request: ItemRequest,
        context: &ClientContext,
    ) -> std::result::Result<Value, RequestFailure> {
        if request.method.is_of_task() {
            let session = self.session_of_task(request.task_id()).await?;
            return self.tenants.request(&session, request, context).await;
        }
        let session = match self.select(&mut Map::new()).await {
            Err(_)
                if self.names_no_session(&Map::new())
                    && self.catalog.is_credential_free_request(&request).await =>
            {
                self.tenants.credential_free(&self.caller).map_err(RequestFailure::from)
            }
            selected => selected.map_err(RequestFailure::from),
        };
        self.tenants.request(&session?, request, context).await
    }

    async fn instructions(&self) -> Vec<(String, String)> {
        self.catalog.instructions().await
    }

    async fn subscribe(
        &self,
        uri: &str,
        queue: &Arc<UpdateQueue>,
        context: &ClientContext,
    ) -> std::result::Result<ResourceSubscription, RequestFailure> {
        let session = match self.select(&mut Map::new()).await {
            Err(_)
                if self.names_no_session(&Map::new())
                    && self.catalog.is_credential_free_resource(uri).await =>
            {
                self.tenants.credential_free(&self.caller)
            }
            selected => selected,
        };
        self.tenants.subscribe(&session?, uri, queue, context).await
    }

    fn subscriptions(&self) -> Option<&ClientSubscriptions> {
        self.protocol_session.as_ref().map(|session| &session.subscriptions)
    }
}

impl CallerTools {
    /// Returns the accounts that a call can select: those of the session that the request selects without an argument,
    /// otherwise those of a new session of the principal.
    async fn accounts(&self) -> Vec<AccountName> {
        let bound = || self.protocol_session.as_ref()?.credentials().map(SessionKey::Local);
        let selected = match self.handle.clone().or_else(bound) {
            Some(key) => self.tenants.find(&self.caller, &key).await.ok(),
            None => None,
        };
        match selected {
            Some(session) => session.value().served_session().unwrap_or(&session).accounts(),
            None => self.tenants.factory().accounts(&self.caller),
        }
    }

    /// Returns the session on which a call acts. A handle that does not name a session of this principal is an error:
    /// the call never runs in another session instead.
    async fn select(&self, arguments: &mut Map<String, Value>) -> Result<TenantGuard> {
        let named = key_in(arguments);
        if let Some(key) = &self.handle {
            if named.is_some_and(|named| named.is_same(key)) {
                arguments.remove(CREDENTIAL_SESSION);
            }
            let session = self.tenants.find(&self.caller, key).await.map_err(unknown_session)?;
            self.tenants.load_narrowed(&session, arguments).await;
            return Ok(session);
        }
        if let Some(key) = named {
            match self.tenants.find(&self.caller, &key).await {
                Ok(session) => {
                    arguments.remove(CREDENTIAL_SESSION);
                    return Ok(session);
                }
                Err(error) if matches!(key, SessionKey::Shared(_)) => return Err(unknown_session(error)),
                Err(_) => {}
            }
        }
        if arguments.contains_key(CREDENTIAL_SESSION) {
            return self.tenants.find_narrowed(&self.caller, arguments).await.map_err(unknown_session);
        }
        self.session_of_client()
    }

    /// Returns the session of a legacy client, which is opened at its first call.
    fn session_of_client(&self) -> Result<TenantGuard> {
        let protocol_session = self.protocol_session.as_ref().ok_or_else(no_session)?;
        let mut opened = None;
        let handle = protocol_session.credentials_or_open(|| {
            let session = self.tenants.open(&self.caller, None)?;
            Ok::<_, Error>(opened.insert(session).handle())
        })?;
        match opened {
            Some(session) => Ok(session),
            None => self.tenants.find_local(&self.caller, &handle).map_err(|_| {
                protocol_session.forget_credentials(handle);
                Error::new(ErrorKind::Closed, "the credential session of this connection has ended")
                    .with_next_step(
                        "call again, which opens a new one; credentials that were set on it are gone",
                    )
            }),
        }
    }

    /// Returns the session in which a call started the task: the one that the request names, or else any of the
    /// principal, since the call may have named another one than that of the connection.
    async fn session_of_task(&self, task: &str) -> std::result::Result<TenantGuard, RequestFailure> {
        if self.handle.is_some() {
            return self.select(&mut Map::new()).await.map_err(|_| unknown_task());
        }
        let of_client = self.protocol_session.as_ref().and_then(|session| session.credentials());
        let session = self.tenants.find_task(&self.caller, of_client, task).ok_or_else(unknown_task)?;
        self.tenants.make_current(&session).await?;
        Ok(session)
    }

    /// Whether neither the request nor the arguments of its call select a session.
    fn names_no_session(&self, arguments: &Map<String, Value>) -> bool {
        self.handle.is_none()
            && self.protocol_session.is_none()
            && !arguments.contains_key(CREDENTIAL_SESSION)
    }

    /// Opens a session, and returns its handle. The only argument is `label`; any other one is an error.
    async fn create(&self, arguments: &Map<String, Value>) -> Result<ToolOutput> {
        if arguments.keys().any(|name| name != "label") {
            return Err(Error::invalid("arguments", "hold a name that this tool does not know"));
        }
        let label = match arguments.get("label") {
            None => None,
            Some(Value::String(label)) if label.chars().count() <= MAX_LABEL_CHARS => Some(label.clone()),
            Some(_) => return Err(Error::invalid("label", "must be a string of at most 128 characters")),
        };
        let key = self.tenants.create(&self.caller, label).await?;
        Ok(ToolOutput::json(json!({CREDENTIAL_SESSION: key.expose()})))
    }

    fn list_sessions(&self) -> ToolOutput {
        let sessions = self.tenants.sessions(self.caller.principal()).into_iter();
        let sessions = sessions.map(|(handle, tenant)| {
            let key = tenant.record.as_ref().map_or(SessionKey::Local(handle), |record| record.key());
            json!({CREDENTIAL_SESSION: key.expose(), "label": tenant.label})
        });
        ToolOutput::json(json!({"sessions": sessions.collect::<Vec<_>>()}))
    }

    /// Closes the session that the arguments name, if it is one of this principal that was not narrowed from another.
    async fn close(&self, arguments: &Map<String, Value>) -> Option<Result<ToolOutput>> {
        let closed = match key_in(arguments)? {
            SessionKey::Local(handle) => {
                let is_closed = self.tenants.close_local(self.caller.principal(), &handle);
                is_closed.then_some(Ok(()))?
            }
            key @ SessionKey::Shared(_) => match self.tenants.find(&self.caller, &key).await {
                Ok(session) => self.tenants.close_shared(&session).await,
                Err(error) => Err(unknown_session(error)),
            },
        };
        let text = "Successfully closed the credential session";
        Some(closed.map(|()| ToolOutput::ok(text).with_structured(json!({"closed": true}))))
    }
}

/// Returns the handle that the arguments name, if it is well-formed.
fn key_in(arguments: &Map<String, Value>) -> Option<SessionKey> {
    arguments.get(CREDENTIAL_SESSION)?.as_str()?.parse().ok()
}

/// Returns the same error for a handle that never existed, one that has ended and one of another principal. Other
/// failures have nothing to do with the handle, and are reported as they are.
fn unknown_session(error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Closed | ErrorKind::Denied) {
        return error.with_field(CREDENTIAL_SESSION);
    }
    Error::new(ErrorKind::Closed, "you have no open credential session with this handle")
        .with_field(CREDENTIAL_SESSION)
        .with_next_step("call `list_credential_sessions` or `create_credential_session`; nothing was done")
}
