//! `ItemCatalog`: the items of one list of all servers of a session, under unique names; `ToolCatalog`: its public form
//! for tools.
//!
//! The name of a proxied tool or prompt is `server__name`, limited to the characters and the length that every client
//! accepts. A resource or a resource template keeps its URI, by which servers and models refer to it.
//!
//! | problem | resolution |
//! |---|---|
//! | a character that clients reject | replaced by `_` |
//! | a name that is too long | truncated, with a hash of the server and the name |
//! | servers whose names become equal | a hash in each prefix |
//! | tools or prompts whose names become equal | a hash in each name, and an error of each server |
//! | a URI that several servers list | the first server in the order of names keeps it, with an error of each server |
//! | a malformed definition | the item is left out, with an error of its server |

mod item;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use valetkey_core::{Error, ErrorKind, Result};

use crate::connection::ListKind;
use crate::server::ItemList;
pub(crate) use item::{NamePrefixes, NameStyle};
use item::{hashed_name, normalize_item};

/// The tools of every server that responded, and the errors of servers that did not.
///
/// One failing server does not hide the tools of the others. A server may have both tools and an error: for example
/// when one of its definitions is malformed, or when its list could not be read to the end.
///
/// # Examples
/// ```
/// use valetkey_mcp::ToolCatalog;
///
/// fn summary(catalog: &ToolCatalog) -> String {
///     let failed: Vec<_> = catalog.errors.iter().map(|failed| failed.server.as_str()).collect();
///     format!("{} tools; errors of: {}", catalog.tools.len(), failed.join(", "))
/// }
/// assert_eq!(summary(&ToolCatalog::default()), "0 tools; errors of: ");
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ToolCatalog {
    /// The tools, in the order of their servers.
    pub tools: Vec<ProxiedTool>,
    /// Errors of servers, and names that more than one tool claims.
    pub errors: Vec<ServerError>,
}

/// A tool of one server.
///
/// # Examples
/// ```
/// use valetkey_mcp::ProxiedTool;
///
/// /// Returns what a model reads about a tool.
/// fn describe(tool: &ProxiedTool) -> String {
///     let description = tool.definition["description"].as_str().unwrap_or("no description");
///     format!("{}: {description}", tool.name)
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxiedTool {
    /// The name to call the tool by: `server__tool`, of the characters `A-Z a-z 0-9 _ -`, short enough for clients that
    /// prepend `mcp__valetkey__` and allow 64 characters.
    pub name: String,
    /// The server.
    pub server: String,
    /// The name that the server gives the tool.
    pub tool: String,
    /// The tool definition of the server, with `name` in place of the server's own name.
    pub definition: Value,
    /// Whether a call may select an account of the session with the argument `aws_account`, which the definition does
    /// not mention.
    pub selects_account: bool,
}

/// An error of one server.
///
/// The error names the next step, and repeats no input. Its kinds: `Invalid` for a mistake in the configuration or in a
/// tool's definition, `Unavailable` for a server that cannot be started or has ended, `TimedOut` for one that is too
/// slow.
///
/// # Examples
/// ```
/// use valetkey_core::ErrorKind;
/// use valetkey_mcp::ServerError;
///
/// /// Whether listing the tools again may help without a change of the configuration.
/// fn is_transient(failed: &ServerError) -> bool {
///     matches!(failed.error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut)
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerError {
    /// The server.
    pub server: String,
    /// The error.
    pub error: Error,
}

impl ServerError {
    fn new(server: &str, error: Error) -> Self {
        Self { server: server.to_owned(), error }
    }
}

impl ToolCatalog {
    /// Joins a catalog with the errors of servers whose lists are missing or incomplete.
    pub(crate) fn new(catalog: &ItemCatalog, list_errors: Vec<ServerError>) -> Self {
        let errors = list_errors.into_iter().chain(catalog.errors().iter().cloned());
        Self { tools: catalog.items().to_vec(), errors: errors.collect() }
    }
}

/// The name of a server, and the items that it listed.
type ServerItems<'a> = (&'a str, Arc<Vec<Value>>);

/// Separates the lists of servers from the errors of those that are missing or incomplete.
pub(crate) fn split_errors<'a>(
    listed: impl IntoIterator<Item = (&'a str, Result<ItemList>)>,
) -> (Vec<ServerItems<'a>>, Vec<ServerError>) {
    let (mut lists, mut errors) = (Vec::new(), Vec::new());
    for (server, list) in listed {
        match list {
            Ok(ItemList { items, incomplete }) => {
                lists.push((server, items));
                errors.extend(incomplete.map(|error| ServerError::new(server, error)));
            }
            Err(error) => errors.push(ServerError::new(server, error)),
        }
    }
    (lists, errors)
}

/// The items of one list of all servers, and the errors of their definitions.
#[derive(Debug, Default)]
pub(crate) struct ItemCatalog {
    /// In the order of their servers.
    items: Vec<ProxiedTool>,
    errors: Vec<ServerError>,
    /// The position of each item, by its listed name or URI.
    positions: HashMap<String, usize>,
}

impl ItemCatalog {
    /// Collects the items that servers list. A malformed definition excludes only its own item.
    pub(crate) fn collect<'a>(
        kind: ListKind,
        prefixes: &NamePrefixes,
        listed: impl IntoIterator<Item = (&'a str, Arc<Vec<Value>>)>,
    ) -> Self {
        let mut catalog = Self::default();
        for (server, items) in listed {
            catalog.add_server(kind, prefixes, server, &items);
        }
        match kind {
            ListKind::Tools | ListKind::Prompts => catalog.rename_collisions(kind),
            ListKind::Resources | ListKind::ResourceTemplates => catalog.remove_collisions(),
        }
        let names = catalog.items.iter().enumerate();
        catalog.positions = names.map(|(position, item)| (item.name.clone(), position)).collect();
        catalog
    }

    /// Returns the item that is listed under this name or URI.
    pub(crate) fn get(&self, name: &str) -> Option<&ProxiedTool> {
        self.items.get(*self.positions.get(name)?)
    }

    pub(crate) fn items(&self) -> &[ProxiedTool] {
        &self.items
    }

    pub(crate) fn items_mut(&mut self) -> &mut [ProxiedTool] {
        &mut self.items
    }

    pub(crate) fn errors(&self) -> &[ServerError] {
        &self.errors
    }

    /// Adds the items of one server. If the server lists an item twice, the first definition is used.
    fn add_server(&mut self, kind: ListKind, prefixes: &NamePrefixes, server: &str, items: &[Value]) {
        let what = kind.item_name();
        let (mut names, mut skipped) = (HashSet::new(), Vec::new());
        for (index, definition) in items.iter().enumerate() {
            match normalize_item(kind, definition.clone()) {
                Ok((own_name, definition)) if names.insert(own_name.clone()) => {
                    self.items.push(ProxiedTool::new(kind, prefixes, server, own_name, definition));
                }
                Ok((own_name, _)) => skipped.push(format!("the {what} `{own_name}` is listed twice")),
                Err(reason) => skipped.push(format!("the {what} at position {} {reason}", index + 1)),
            }
        }
        if let Some(first) = skipped.first() {
            let others = skipped.len() - 1;
            let more =
                if others == 0 { String::new() } else { format!("; so do {others} more of its {what}s") };
            let error = Error::new(ErrorKind::Invalid, format!("{first}, and was left out{more}"))
                .with_next_step("report it to the maintainer of the server");
            self.errors.push(ServerError::new(server, error));
        }
    }

    /// Removes all but the first item of each URI, and reports the servers that list it.
    fn remove_collisions(&mut self) {
        let mut owners: HashMap<String, String> = HashMap::new();
        let mut errors = Vec::new();
        self.items.retain(|item| match owners.get(&item.name) {
            Some(owner) => {
                errors
                    .extend([collision_error(owner, &item.name), collision_error(&item.server, &item.name)]);
                false
            }
            None => owners.insert(item.name.clone(), item.server.clone()).is_none(),
        });
        let mut reported = HashSet::new();
        errors.retain(|error| reported.insert(error.server.clone()));
        self.errors.extend(errors);
    }

    /// Gives items that share a name their hashed names, and reports their servers.
    ///
    /// A server may predict the hashed name of another server's item and claim it; the claiming item is then renamed to
    /// its hashed name too. Each item is renamed at most once, so the time is linear in the number of items, whatever
    /// names servers choose.
    fn rename_collisions(&mut self, kind: ListKind) {
        let mut owners: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, tool) in self.items.iter().enumerate() {
            owners.entry(tool.name.clone()).or_default().push(index);
        }
        let mut contested: Vec<_> = owners.iter().filter(|(_, claims)| claims.len() > 1).collect();
        contested.sort_by_key(|(_, claims)| claims[0]);
        let mut contested: Vec<String> = contested.into_iter().rev().map(|(name, _)| name.clone()).collect();
        let (mut losers, mut removed) = (BTreeMap::new(), HashSet::new());
        while let Some(name) = contested.pop() {
            let claims = owners.remove(&name).unwrap_or_default();
            let (keep, moved): (Vec<_>, Vec<_>) =
                claims.into_iter().partition(|&claim| self.items[claim].hashed_name() == name);
            for &claim in keep.iter().chain(&moved) {
                losers.entry(self.items[claim].server.clone()).or_insert_with(|| name.clone());
            }
            for claim in moved {
                let hashed = self.items[claim].hashed_name();
                self.items[claim].rename(kind, hashed.clone());
                let claims = owners.entry(hashed.clone()).or_default();
                claims.push(claim);
                if claims.len() == 2 {
                    contested.push(hashed);
                }
            }
            // Two items have the same hash, and a request could mean either, so both are removed.
            if keep.len() > 1 {
                removed.extend(keep);
            } else if let [only] = keep[..] {
                owners.entry(name).or_default().push(only);
            }
        }
        let mut index = 0..;
        self.items.retain(|_| !index.next().is_some_and(|index| removed.contains(&index)));
        self.errors.extend(losers.into_iter().map(|(server, name)| collision_error(&server, &name)));
    }
}

fn collision_error(server: &str, name: &str) -> ServerError {
    let message = format!("the name `{name}` is claimed by more than one server or tool");
    let error = Error::new(ErrorKind::Invalid, message)
        .with_next_step("use the names that are listed, or rename a server");
    ServerError::new(server, error)
}

impl ProxiedTool {
    fn new(
        kind: ListKind,
        prefixes: &NamePrefixes,
        server: &str,
        own_name: String,
        definition: Value,
    ) -> Self {
        let mut item = Self {
            name: own_name.clone(),
            server: server.to_owned(),
            tool: own_name,
            definition,
            selects_account: false,
        };
        if matches!(kind, ListKind::Tools | ListKind::Prompts) {
            let name = prefixes.name(server, &item.tool);
            item.rename(kind, name);
        }
        item
    }

    fn hashed_name(&self) -> String {
        hashed_name(&self.server, &self.tool)
    }

    fn rename(&mut self, kind: ListKind, name: String) {
        if let Some(fields) = self.definition.as_object_mut() {
            fields.insert(kind.id_field().to_owned(), Value::from(name.as_str()));
        }
        self.name = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn collect_lists<const N: usize>(kind: ListKind, listed: [(&str, Result<ItemList>); N]) -> ToolCatalog {
        let servers = listed.iter().map(|(server, _)| (*server, NameStyle::Prefixed));
        let prefixes = NamePrefixes::new(servers);
        let (lists, errors) = split_errors(listed);
        ToolCatalog::new(&ItemCatalog::collect(kind, &prefixes, lists), errors)
    }

    fn collect_catalog<const N: usize>(listed: [(&str, Result<Vec<Value>>); N]) -> ToolCatalog {
        let whole = |items| ItemList { items: Arc::new(items), incomplete: None };
        collect_lists(ListKind::Tools, listed.map(|(server, tools)| (server, tools.map(whole))))
    }

    #[test]
    fn catalog_incomplete_list_keeps_read_tools() {
        let incomplete = Some(Error::new(ErrorKind::Invalid, "the list has no end"));
        let listed = ItemList { items: Arc::new(vec![json!({"name": "t"})]), incomplete };
        let catalog = collect_lists(ListKind::Tools, [("s", Ok(listed))]);
        assert_eq!((catalog.tools[0].name.as_str(), catalog.errors.len()), ("s__t", 1));
    }

    #[test]
    fn catalog_definition_keeps_all_fields_except_name() {
        let tool = json!({"name": "list", "inputSchema": {"type": "object"}, "x-unknown": [1]});
        let expected = json!({"name": "s3__list", "inputSchema": {"type": "object"}, "x-unknown": [1]});
        assert_eq!(collect_catalog([("s3", Ok(vec![tool]))]).tools[0].definition, expected);
    }

    #[test]
    fn catalog_malformed_tool_keeps_other_tools() {
        let tools = vec![json!(7), json!({"name": "a"}), json!({"inputSchema": {}}), json!({"name": "b"})];
        let catalog = collect_catalog([("s", Ok(tools)), ("other", Ok(vec![json!({"name": "c"})]))]);
        let names: Vec<_> = catalog.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["s__a", "s__b", "other__c"]);
        assert_eq!(catalog.errors.len(), 1);
        let message = catalog.errors[0].error.message();
        assert!(message.contains("position 1") && message.contains("1 more"), "{message}");
    }

    #[test]
    fn catalog_name_collision_renames_and_reports_both() {
        let catalog = collect_catalog([
            ("a", Ok(vec![json!({"name": "b__c"})])),
            ("a__b", Ok(vec![json!({"name": "c"})])),
        ]);
        assert_ne!(catalog.tools[0].name, catalog.tools[1].name);
        let owners: Vec<_> = catalog.errors.iter().map(|error| error.server.as_str()).collect();
        assert_eq!(owners, ["a", "a__b"]);
    }

    #[test]
    fn catalog_claimed_hashed_name_stays_with_its_owner() {
        let foreseen = hashed_name("a", "b__c");
        let crafted = foreseen.strip_prefix("a__b__").unwrap();
        let catalog = collect_catalog([
            ("a", Ok(vec![json!({"name": "b__c"})])),
            ("a__b", Ok(vec![json!({"name": "c"}), json!({"name": crafted})])),
        ]);
        let names: HashSet<_> = catalog.tools.iter().map(|tool| &tool.name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let owner = catalog.tools.iter().find(|tool| tool.name == foreseen).unwrap();
        assert_eq!((owner.server.as_str(), owner.tool.as_str()), ("a", "b__c"));
    }

    /// Each tool of `a__b` claims the hashed name of the tool before it. A quadratic search would take minutes.
    #[test]
    fn catalog_chained_collisions_resolve_in_linear_time() {
        let mut tools = vec![json!({"name": "c"})];
        let mut name = "c".to_owned();
        for _ in 0..20_000 {
            name = hashed_name("a__b", &name).strip_prefix("a__b__").unwrap().to_owned();
            tools.push(json!({"name": name}));
        }
        let count = tools.len() + 1;
        let catalog = collect_catalog([("a", Ok(vec![json!({"name": "b__c"})])), ("a__b", Ok(tools))]);
        let names: HashSet<_> = catalog.tools.iter().map(|tool| &tool.name).collect();
        assert_eq!((names.len(), catalog.tools.len()), (count, count));
    }

    #[test]
    fn catalog_failed_server_keeps_other_servers() {
        let broken = Err(Error::new(ErrorKind::Unavailable, "down"));
        let catalog = collect_catalog([("a", broken), ("b", Ok(vec![json!({"name": "t"})]))]);
        assert_eq!((catalog.tools.len(), catalog.errors.len()), (1, 1));
    }

    #[test]
    fn catalog_uri_collision_keeps_first_and_reports_both() {
        let listed = |uri: &str, name: &str| {
            let items = Arc::new(vec![json!({"uri": uri, "name": name}), json!({"uri": name, "name": name})]);
            Ok(ItemList { items, incomplete: None })
        };
        let catalog =
            collect_lists(ListKind::Resources, [("a", listed("x:1", "x:a")), ("b", listed("x:1", "x:b"))]);
        let kept: Vec<_> = catalog.tools.iter().map(|item| (&*item.server, &*item.name)).collect();
        assert_eq!(kept, [("a", "x:1"), ("a", "x:a"), ("b", "x:b")]);
        let owners: Vec<_> = catalog.errors.iter().map(|error| error.server.as_str()).collect();
        assert_eq!(owners, ["a", "b"]);
    }
}
