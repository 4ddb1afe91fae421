//! `Catalog`: the tools that every principal is shown, listed by servers that have no credentials. Only a remote server
//! that requires signed requests is listed with an account, which its configuration names for this purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use valetkey_core::{AccountName, Result, SessionContext};
use valetkey_tools::{CREDENTIAL_SESSION, ToolAnnotations, ToolDefinition, ToolSet};

use super::encoded_list::EncodedList;
use super::session_factory::{Listeners, SessionFactory, host_builder};
use crate::McpHost;
use crate::catalog::ItemCatalog;
use crate::connection::ListKind;
use crate::gateway::{ChangeNotifier, ContentSource, GatewayInner, tool_definition};
use crate::host::ItemRequest;

/// The maximum number of lists that are kept encoded. Callers whose sessions have the same accounts share one.
const MAX_ENCODED_LISTS: u64 = 64;

pub(super) const CREATE_SESSION: &str = "create_credential_session";
pub(super) const LIST_SESSIONS: &str = "list_credential_sessions";
pub(super) const CLOSE_SESSION: &str = "close_credential_session";

/// Lists tools independently of principals, sessions and credentials. A server that runs for a session lists no tools
/// for another one.
pub(super) struct Catalog {
    session: SessionContext,
    /// Signs the lists of remote servers that require it.
    list_session: Mutex<Option<SessionContext>>,
    tools: GatewayInner,
    /// The credential tools that are listed, which a reload replaces.
    own_tools: RwLock<ToolSet>,
    /// Whether the tools of the current servers were listed.
    is_listed: AtomicBool,
    /// The lists that were encoded last, by the accounts that their tools can select.
    encoded: Cache<(ListKind, Vec<AccountName>), EncodedCatalog>,
}

/// A list, and what it was encoded from.
#[derive(Clone)]
struct EncodedCatalog {
    catalog: Arc<ItemCatalog>,
    list: EncodedList,
}

impl Catalog {
    /// Starts the host of the catalog's session. Its servers have no credentials, and are started at the first list.
    pub(super) async fn start(factory: &dyn SessionFactory, listeners: &Listeners) -> Result<Self> {
        let session = factory.catalog_session();
        let list_session = factory.list_session();
        let host = listeners.host_builder(factory, &session).list_session(list_session.clone());
        // Without an idle timeout, because these servers announce changes of their tools.
        let host = host.idle_timeout(Duration::ZERO).start().await?;
        let own_tools = factory.catalog_tools(&session);
        let tools = GatewayInner::new(own_tools.clone(), Some(Arc::new(host)), Arc::default());
        let encoded = Cache::new(MAX_ENCODED_LISTS);
        Ok(Self {
            session,
            list_session: Mutex::new(list_session),
            tools,
            own_tools: RwLock::new(own_tools),
            is_listed: AtomicBool::new(false),
            encoded,
        })
    }

    /// Takes the servers of `factory`, and announces the change.
    pub(super) fn reload(&self, factory: &dyn SessionFactory) {
        *self.own_tools.write() = factory.catalog_tools(&self.session);
        let list_session = factory.list_session();
        let builder = host_builder(factory, &self.session).list_session(list_session.clone());
        match self.tools.host().map(|host| host.reconfigure(builder)) {
            Some(Err(error)) => {
                tracing::error!(%error, "the catalog keeps its servers");
                close(list_session);
            }
            _ => close(std::mem::replace(&mut *self.list_session.lock(), list_session)),
        }
        self.is_listed.store(false, Ordering::Release);
    }

    pub(super) fn changes(&self) -> ChangeNotifier {
        ChangeNotifier::new(self.tools.host())
    }

    pub(super) fn has_servers(&self) -> bool {
        self.tools.has_servers()
    }

    pub(super) fn has_tasks(&self) -> bool {
        self.tools.has_tasks()
    }

    pub(super) async fn may_be_task(&self, tool: &str) -> bool {
        !self.is_own_tool(tool) && self.tools.may_be_task(tool).await
    }

    /// Returns the instructions of servers that have started.
    pub(super) async fn instructions(&self) -> Vec<(String, String)> {
        self.tools.instructions().await
    }

    /// Whether there may be a tool of this name.
    pub(super) async fn may_have_tool(&self, name: &str) -> bool {
        match self.tools.host() {
            Some(host) if !self.is_own_tool(name) => host.may_have_tool(name).await,
            _ => true,
        }
    }

    /// Whether a tool belongs to a server that is given no credentials.
    pub(super) async fn is_credential_free_tool(&self, name: &str) -> bool {
        match self.tools.host() {
            Some(host) if !self.is_own_tool(name) => host.is_credential_free_tool(name).await,
            _ => false,
        }
    }

    /// Whether a request is for a server that is given no credentials.
    pub(super) async fn is_credential_free_request(&self, request: &ItemRequest) -> bool {
        match self.tools.host() {
            Some(host) => host.is_credential_free_request(request).await,
            None => false,
        }
    }

    /// Whether a resource belongs to a server that is given no credentials.
    pub(super) async fn is_credential_free_resource(&self, uri: &str) -> bool {
        match self.tools.host() {
            Some(host) => host.is_credential_free_resource(uri).await,
            None => false,
        }
    }

    /// Returns a list, for a caller who can use these accounts. It is encoded again only after a change.
    ///
    /// Waits for servers that have not listed their items, within the budget of a list.
    ///
    /// # Errors
    /// An item cannot be written as JSON.
    pub(super) async fn encoded_list(
        &self,
        kind: ListKind,
        accounts: Vec<AccountName>,
    ) -> serde_json::Result<EncodedList> {
        let catalog = self.tools.list_catalog(kind).await;
        if kind == ListKind::Tools {
            self.is_listed.store(true, Ordering::Release);
        }
        let key = (kind, accounts);
        if let Some(known) = self.encoded.get(&key).filter(|known| Arc::ptr_eq(&known.catalog, &catalog)) {
            return Ok(known.list);
        }
        let items = match kind {
            ListKind::Tools => self.tools_of(&catalog, &key.1),
            _ => catalog.items().iter().map(|item| item.definition.clone()).collect(),
        };
        let list = EncodedList::new(kind, &items)?;
        self.encoded.insert(key, EncodedCatalog { catalog, list: list.clone() });
        Ok(list)
    }

    /// Returns the definition of every tool, for a caller who can use these accounts.
    fn tools_of(&self, catalog: &ItemCatalog, accounts: &[AccountName]) -> Vec<Value> {
        let mut tools = vec![tool_definition(&create_session()), tool_definition(&list_sessions())];
        let is_own = |tool: &Value| tool["name"].as_str().is_some_and(is_catalog_tool);
        let listed = self.tools.define_tools_beside(&self.own_tools.read(), catalog, accounts);
        tools.extend(listed.into_iter().filter(|tool| !is_own(tool)));
        tools
    }

    /// Whether a name is that of a tool of no server.
    pub(super) fn is_own_tool(&self, name: &str) -> bool {
        is_catalog_tool(name) || self.own_tools.read().get(name).is_some()
    }

    /// Returns the tools of servers as they were listed last, or lists them if they were not.
    pub(super) async fn server_tools(&self) -> Option<Arc<ItemCatalog>> {
        if !self.is_listed.load(Ordering::Acquire) {
            self.tools.list_catalog(ListKind::Tools).await;
            self.is_listed.store(true, Ordering::Release);
        }
        self.tools.host().map(McpHost::tool_catalog)
    }

    pub(super) async fn stop(&self) {
        if let Some(host) = self.tools.host() {
            host.stop().await;
        }
        close(self.list_session.lock().take());
    }
}

fn close(list_session: Option<SessionContext>) {
    if let Some(session) = list_session {
        session.close();
    }
}

/// Whether a name is that of a tool which no session has.
fn is_catalog_tool(name: &str) -> bool {
    [CREATE_SESSION, LIST_SESSIONS].contains(&name)
}

fn create_session() -> ToolDefinition {
    let description = "Open a credential session of your own, without credentials of others. Give its handle as \
                       `credential_session` in every later call. It ends after 30 minutes without a call, or 12 hours.";
    let label =
        json!({"type": "string", "maxLength": 128, "description": "A name for list_credential_sessions"});
    let schema = json!({"type": "object", "properties": {"label": label}, "additionalProperties": false});
    let output = json!({
        "type": "object",
        "properties": {CREDENTIAL_SESSION: {"type": "string"}},
        "required": [CREDENTIAL_SESSION],
    });
    ToolDefinition::new(CREATE_SESSION, description, schema)
        .title("Open a credential session")
        .output_schema(output)
        .annotations(ToolAnnotations::default().additive().closed_world())
}

fn list_sessions() -> ToolDefinition {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let output = json!({
        "type": "object",
        "properties": {"sessions": {"type": "array", "items": {"type": "object"}}},
        "required": ["sessions"],
    });
    ToolDefinition::new(LIST_SESSIONS, "List your open credential sessions, with their handles.", schema)
        .title("List credential sessions")
        .output_schema(output)
        .annotations(ToolAnnotations::default().read_only().closed_world())
}

#[cfg(test)]
mod tests {
    use super::super::auth::VerifiedCaller;
    use super::super::session_factory::NewSession;
    use super::*;
    use crate::McpHostBuilder;

    struct NoServers;

    impl SessionFactory for NoServers {
        fn new_session(&self, _: &VerifiedCaller) -> Result<NewSession> {
            unreachable!("a catalog belongs to no caller")
        }

        fn host(&self, _: &SessionContext) -> Option<McpHostBuilder> {
            None
        }
    }

    #[tokio::test]
    async fn catalog_list_is_encoded_again_only_after_change() {
        let listeners = Listeners::start().await.unwrap();
        let catalog = Catalog::start(&NoServers, &listeners).await.unwrap();
        let list = async |accounts: &[&str]| {
            let accounts = accounts.iter().map(|name| name.parse().unwrap()).collect();
            catalog.encoded_list(ListKind::Tools, accounts).await.unwrap()
        };
        let (first, other) = (list(&["a"]).await, list(&["a", "b"]).await);
        assert!(list(&["a"]).await.is_same_text(&first) && list(&["a", "b"]).await.is_same_text(&other));
        assert!(!other.is_same_text(&first));
        catalog.reload(&NoServers);
        assert!(!list(&["a"]).await.is_same_text(&first));
        catalog.stop().await;
        listeners.stop().await;
    }
}
