//! `ServerTable`: the servers that one configuration describes, and the catalogs of what they list.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use regex_lite::Regex;
use serde_json::Value;
use tokio::time::timeout;
use valetkey_core::Result;

use super::authority::{AccountArgument, ToolPolicies};
use super::{McpHostBuilder, session_account};
use crate::catalog::{ItemCatalog, NamePrefixes, NameStyle, ProxiedTool, ServerError, split_errors};
use crate::config::{ConfigError, ServerConfig};
use crate::connection::{ListKind, PerList, RefusedRequest};
use crate::server::{ItemList, RequestFailure, ServerHandle, SpawnConfig, Timeouts};

/// The protocol error for a resource that does not exist.
const RESOURCE_NOT_FOUND: i32 = -32002;

pub(super) struct ServerTable {
    pub(super) servers: Vec<Arc<ServerHandle>>,
    pub(super) policies: ToolPolicies,
    prefixes: NamePrefixes,
    pub(super) config_errors: Vec<ConfigError>,
    /// The items that were last listed.
    catalogs: PerList<Mutex<CachedCatalog>>,
    pub(super) list_budget: Duration,
}

/// The target of a listed name: its server, and the server's own name for it.
pub(super) struct ItemRoute {
    pub(super) server: Arc<ServerHandle>,
    pub(super) own_name: String,
    pub(super) account_argument: AccountArgument,
    /// Whether it is a tool that can be called as a task of the legacy protocol.
    pub(super) may_be_task: bool,
}

impl ItemRoute {
    /// Returns the route of a request that is no call of a tool.
    pub(super) fn to_server(server: Arc<ServerHandle>) -> Self {
        let account_argument = AccountArgument::Forwarded;
        Self { server, own_name: String::new(), account_argument, may_be_task: false }
    }
}

/// A catalog, and the lists that it was built from. It is built again only when one of them is another allocation.
#[derive(Default)]
struct CachedCatalog {
    lists: Vec<(String, Arc<Vec<Value>>)>,
    catalog: Arc<ItemCatalog>,
}

impl CachedCatalog {
    fn is_built_from(&self, lists: &[(&str, Arc<Vec<Value>>)]) -> bool {
        let is_same = |((known, items), (server, listed)): (&(String, _), &(&str, _))| {
            known == server && Arc::ptr_eq(items, listed)
        };
        self.lists.len() == lists.len() && self.lists.iter().zip(lists).all(is_same)
    }
}

impl ServerTable {
    /// Builds the table of the servers that `builder` configures. A server of `before` with the same configuration is
    /// kept, unless its account belongs to the session for lists: a new builder has a new one.
    pub(super) fn build(
        builder: McpHostBuilder,
        before: &[Arc<ServerHandle>],
        spawn_config: &Arc<SpawnConfig>,
        timeouts: Timeouts,
        list_budget: Duration,
    ) -> Self {
        let style = |server: &ServerConfig| match server.prefix {
            true => NameStyle::Prefixed,
            false => NameStyle::Unchanged,
        };
        let servers = builder.config.servers.iter();
        let prefixes = NamePrefixes::new(servers.map(|(name, server)| (name.as_str(), style(server))));
        let mut config_errors = builder.config.errors;
        let mut servers = Vec::new();
        for (name, config) in builder.config.servers {
            let lists_with = builder.list_session.as_ref().zip(config.list_account.as_ref());
            let is_kept = |server: &&Arc<ServerHandle>| server.name() == name && *server.config() == config;
            if let Some(kept) = before.iter().find(is_kept).filter(|_| lists_with.is_none()) {
                servers.push(Arc::clone(kept));
                continue;
            }
            let account = match lists_with {
                Some((session, account)) => {
                    session.observe(&spawn_config.redactor);
                    session_account(session, Some(account))
                }
                None => session_account(&builder.session, config.account.as_ref()),
            };
            match account {
                Ok(account) => {
                    let spawn_config = Arc::clone(spawn_config);
                    let server = ServerHandle::supervise(name, config, account, spawn_config, timeouts);
                    servers.push(Arc::new(server));
                }
                Err(error) => config_errors.push(ConfigError { server: name, error }),
            }
        }
        let table = Self {
            servers,
            policies: builder.policies,
            prefixes,
            config_errors,
            catalogs: PerList::default(),
            list_budget,
        };
        for kind in ListKind::ALL {
            table.refresh_catalog(kind);
        }
        table
    }

    /// Returns one list of all servers, and the errors of servers that have not listed theirs in time.
    pub(super) async fn list(&self, kind: ListKind) -> (Arc<ItemCatalog>, Vec<ServerError>) {
        let list = async |server: &ServerHandle| server.list_within(kind, self.list_budget).await;
        let listed = join_all(self.servers.iter().map(|server| list(server))).await;
        self.collect(kind, self.servers.iter().map(|server| server.name()).zip(listed))
    }

    /// Finds the tool or prompt listed under `name`, waiting only for servers that the name may belong to.
    ///
    /// # Errors
    /// The error of the server that the name begins with, if that server could not list its items.
    pub(super) async fn find_route(&self, kind: ListKind, name: &str) -> Result<Option<ItemRoute>> {
        if let Some(route) = self.route(kind, name) {
            return Ok(Some(route));
        }
        let is_owner = |server: &&Arc<ServerHandle>| self.prefixes.may_own(server.name(), name);
        let owners: Vec<_> = self.servers.iter().filter(is_owner).collect();
        let mut listed = pin!(join_all(owners.iter().map(|server| server.list(kind))));
        if timeout(self.list_budget, &mut listed).await.is_err() {
            // The name may begin with another server's prefix as well, and that server may hang.
            self.refresh_catalog(kind);
            if self.route(kind, name).is_none() {
                listed.await;
            }
        }
        if owners.is_empty() {
            // A name with a hash need not begin with its server's prefix.
            let everything = join_all(self.servers.iter().map(|server| server.list(kind)));
            let _elapsed = timeout(self.list_budget, everything).await;
        }
        self.refresh_catalog(kind);
        if let Some(found) = self.route(kind, name) {
            return Ok(Some(found));
        }
        match owners.iter().find_map(|server| server.cached_list(kind).err()) {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Finds the server of a resource by its URI, or by the URI template of a completion.
    ///
    /// Servers that have not listed their resources are waited for within the budget of a list, but only until one of
    /// them is found to have the resource.
    pub(super) async fn find_resource(&self, uri: &str) -> Result<Arc<ServerHandle>, RequestFailure> {
        if let Some(server) = self.known_resource(uri) {
            return Ok(server);
        }
        let kinds = [ListKind::Resources, ListKind::ResourceTemplates];
        let lists = self.servers.iter().flat_map(|server| kinds.map(|kind| server.list(kind)));
        let mut lists = pin!(lists.collect::<FuturesUnordered<_>>());
        let found = timeout(self.list_budget, async {
            while lists.next().await.is_some() {
                kinds.into_iter().for_each(|kind| self.refresh_catalog(kind));
                if let Some(server) = self.known_resource(uri) {
                    return Some(server);
                }
            }
            None
        });
        if let Ok(Some(server)) = found.await {
            return Ok(server);
        }
        self.only_resource_server().ok_or_else(|| {
            let message = "no server has this resource; list the resources again".to_owned();
            let data = Some(serde_json::json!({"uri": uri}));
            RequestFailure::Refused(RefusedRequest { code: RESOURCE_NOT_FOUND, message, data })
        })
    }

    fn known_resource(&self, uri: &str) -> Option<Arc<ServerHandle>> {
        let templates = self.catalog(ListKind::ResourceTemplates);
        let listed = self.catalog(ListKind::Resources);
        let by_template = || templates.items().iter().find(|template| matches_template(&template.tool, uri));
        let item = listed.get(uri).or_else(|| templates.get(uri)).or_else(by_template)?;
        self.server(&item.server)
    }

    /// A server may have resources that it does not list.
    fn only_resource_server(&self) -> Option<Arc<ServerHandle>> {
        let mut owners = self.servers.iter().filter(|server| server.offers(ListKind::Resources));
        let only = owners.next()?;
        owners.next().is_none().then(|| Arc::clone(only))
    }

    /// Updates a catalog from all lists that are known now.
    pub(super) fn refresh_catalog(&self, kind: ListKind) {
        self.collect(kind, self.servers.iter().map(|server| (server.name(), server.cached_list(kind))));
    }

    /// Replaces a catalog by one of these lists, and returns it with the errors of lists that are missing or
    /// incomplete. An item that is no longer listed cannot be requested.
    fn collect<'a>(
        &self,
        kind: ListKind,
        listed: impl IntoIterator<Item = (&'a str, Result<ItemList>)>,
    ) -> (Arc<ItemCatalog>, Vec<ServerError>) {
        let (lists, errors) = split_errors(listed);
        let mut cached = self.catalogs.get(kind).lock();
        if !cached.is_built_from(&lists) {
            let mut catalog = ItemCatalog::collect(kind, &self.prefixes, lists.iter().cloned());
            for tool in catalog.items_mut().iter_mut().filter(|_| kind == ListKind::Tools) {
                let argument = self.server(&tool.server).map(|server| account_argument(&server, tool));
                tool.selects_account = matches!(argument, Some(AccountArgument::Selects { .. }));
            }
            cached.catalog = Arc::new(catalog);
            cached.lists = lists.into_iter().map(|(server, items)| (server.to_owned(), items)).collect();
        }
        (Arc::clone(&cached.catalog), errors)
    }

    /// Returns the catalog that was collected last.
    pub(super) fn catalog(&self, kind: ListKind) -> Arc<ItemCatalog> {
        Arc::clone(&self.catalogs.get(kind).lock().catalog)
    }

    fn route(&self, kind: ListKind, name: &str) -> Option<ItemRoute> {
        let catalog = self.catalog(kind);
        let item = catalog.get(name)?;
        let server = self.server(&item.server)?;
        let account_argument = account_argument(&server, item);
        let task_support = item.definition["execution"]["taskSupport"].as_str();
        let may_be_task = task_support.is_some_and(|support| ["optional", "required"].contains(&support));
        Some(ItemRoute { server, own_name: item.tool.clone(), account_argument, may_be_task })
    }

    pub(super) fn server(&self, name: &str) -> Option<Arc<ServerHandle>> {
        self.servers.iter().find(|server| server.name() == name).cloned()
    }
}

/// Whether a URI template (RFC 6570) can expand to `uri`. Values of plain expressions contain no reserved characters,
/// since these are percent-encoded; those of other expressions may.
fn matches_template(template: &str, uri: &str) -> bool {
    let mut pattern = "^".to_owned();
    let mut rest = template;
    while let Some((literal, expression)) = rest.split_once('{') {
        pattern += &regex_lite::escape(literal);
        let Some((expression, after)) = expression.split_once('}') else { return false };
        let is_plain = !expression.starts_with(['+', '#', '.', '/', ';', '?', '&']);
        pattern += if is_plain { "[^/?#]*" } else { ".*" };
        rest = after;
    }
    pattern += &regex_lite::escape(rest);
    pattern += "$";
    Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(uri))
}

fn account_argument(server: &ServerHandle, tool: &ProxiedTool) -> AccountArgument {
    AccountArgument::of_tool(server.config(), &tool.definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_matches_its_expansions() {
        for (template, uri, is_match) in [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/1/2/data", false),
            ("test://template/{id}/data", "test://template/1/data/", false),
            ("file:///{+path}", "file:///a/b.txt", true),
            ("x:{a}.{b}", "x:1.2", true),
            ("x:{a}.{b}", "x:1-2", false),
            ("x:search{?q,limit}", "x:search?q=1&limit=2", true),
            ("x:search{?q}", "x:search", true),
            ("x:(.*)", "x:anything", false),
            ("x:{open", "x:1", false),
        ] {
            assert_eq!(matches_template(template, uri), is_match, "{template} {uri}");
        }
    }
}
