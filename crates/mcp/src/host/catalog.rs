//! `ToolCatalog`: the tools of all servers of a session, under unique names that every client accepts.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use valetkey_core::{Error, ErrorKind, Result};

use super::definition::normalize_definition;
use super::name::{NamePrefixes, hashed_name};
use super::server::ToolList;

/// The tools of every server that responded, and the errors of servers that did not.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ToolCatalog {
    /// The tools, in the order of their servers.
    pub tools: Vec<ProxiedTool>,
    /// Errors of servers, and names that more than one tool claims.
    pub faults: Vec<ServerFault>,
}

/// A tool of one server.
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
}

/// An error of one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerFault {
    /// The server.
    pub server: String,
    /// The error.
    pub error: Error,
}

impl ServerFault {
    fn new(server: &str, error: Error) -> Self {
        Self { server: server.to_owned(), error }
    }
}

impl ToolCatalog {
    /// Collects the tools that servers list. A malformed definition excludes only its own tool.
    pub(super) fn collect<'a>(
        prefixes: &NamePrefixes,
        listed: impl IntoIterator<Item = (&'a str, Result<ToolList>)>,
    ) -> Self {
        let mut catalog = Self::default();
        for (server, tools) in listed {
            match tools {
                Ok(ToolList { tools, incomplete }) => {
                    catalog.add_server(prefixes, server, tools);
                    catalog.faults.extend(incomplete.map(|error| ServerFault::new(server, error)));
                }
                Err(error) => catalog.faults.push(ServerFault::new(server, error)),
            }
        }
        catalog.resolve_collisions();
        catalog
    }

    /// Adds the tools of one server. If the server lists a tool twice, the first definition is used.
    fn add_server(&mut self, prefixes: &NamePrefixes, server: &str, tools: Vec<Value>) {
        let (mut names, mut skipped) = (HashSet::new(), Vec::new());
        for (index, definition) in tools.into_iter().enumerate() {
            match normalize_definition(definition) {
                Ok((tool, definition)) if names.insert(tool.clone()) => {
                    let name = prefixes.name(server, &tool);
                    self.tools.push(ProxiedTool::new(name, server, tool, definition));
                }
                Ok((tool, _)) => skipped.push(format!("the tool `{tool}` is listed twice")),
                Err(reason) => skipped.push(format!("the tool at position {} {reason}", index + 1)),
            }
        }
        if let Some(first) = skipped.first() {
            let others = skipped.len() - 1;
            let more =
                if others == 0 { String::new() } else { format!("; so do {others} more of its tools") };
            let error = Error::new(ErrorKind::Invalid, format!("{first}, and was left out{more}"))
                .with_next_step("report it to the maintainer of the server");
            self.faults.push(ServerFault::new(server, error));
        }
    }

    /// Gives tools that share a name their hashed names, and reports their servers.
    ///
    /// A server may predict the hashed name of another server's tool and claim it; the claiming tool is then renamed to
    /// its hashed name too. Each tool is renamed at most once, so the time is linear in the number of tools, whatever
    /// names servers choose.
    fn resolve_collisions(&mut self) {
        let mut owners: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, tool) in self.tools.iter().enumerate() {
            owners.entry(tool.name.clone()).or_default().push(index);
        }
        let mut contested: Vec<_> = owners.iter().filter(|(_, claims)| claims.len() > 1).collect();
        contested.sort_by_key(|(_, claims)| claims[0]);
        let mut contested: Vec<String> = contested.into_iter().rev().map(|(name, _)| name.clone()).collect();
        let (mut losers, mut removed) = (BTreeMap::new(), HashSet::new());
        while let Some(name) = contested.pop() {
            let claims = owners.remove(&name).unwrap_or_default();
            let (keep, moved): (Vec<_>, Vec<_>) =
                claims.into_iter().partition(|&claim| self.tools[claim].hashed_name() == name);
            for &claim in keep.iter().chain(&moved) {
                losers.entry(self.tools[claim].server.clone()).or_insert_with(|| name.clone());
            }
            for claim in moved {
                let hashed = self.tools[claim].hashed_name();
                self.tools[claim].rename(hashed.clone());
                let claims = owners.entry(hashed.clone()).or_default();
                claims.push(claim);
                if claims.len() == 2 {
                    contested.push(hashed);
                }
            }
            // Two tools have the same hash, and a call could mean either, so both are removed.
            if keep.len() > 1 {
                removed.extend(keep);
            } else if let [only] = keep[..] {
                owners.entry(name).or_default().push(only);
            }
        }
        let mut index = 0..;
        self.tools.retain(|_| !index.next().is_some_and(|index| removed.contains(&index)));
        self.faults.extend(losers.into_iter().map(|(server, name)| collision_error(server, &name)));
    }
}

fn collision_error(server: String, name: &str) -> ServerFault {
    let message = format!("the tool name `{name}` is claimed by more than one tool");
    let error = Error::new(ErrorKind::Invalid, message)
        .with_next_step("call the tools by the names that are listed, or rename a server");
    ServerFault { server, error }
}

impl ProxiedTool {
    fn new(name: String, server: &str, tool: String, definition: Value) -> Self {
        let mut tool = Self { name: String::new(), server: server.to_owned(), tool, definition };
        tool.rename(name);
        tool
    }

    fn hashed_name(&self) -> String {
        hashed_name(&self.server, &self.tool)
    }

    fn rename(&mut self, name: String) {
        if let Some(fields) = self.definition.as_object_mut() {
            fields.insert("name".to_owned(), Value::from(name.as_str()));
        }
        self.name = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn collect_catalog<const N: usize>(listed: [(&str, Result<Vec<Value>>); N]) -> ToolCatalog {
        let prefixes = NamePrefixes::new(listed.iter().map(|(server, _)| *server));
        let whole = |tools| ToolList { tools, incomplete: None };
        ToolCatalog::collect(&prefixes, listed.map(|(server, tools)| (server, tools.map(whole))))
    }

    #[test]
    fn catalog_incomplete_list_keeps_read_tools() {
        let incomplete = Some(Error::new(ErrorKind::Invalid, "the list has no end"));
        let listed = ToolList { tools: vec![json!({"name": "t"})], incomplete };
        let catalog = ToolCatalog::collect(&NamePrefixes::default(), [("s", Ok(listed))]);
        assert_eq!((catalog.tools[0].name.as_str(), catalog.faults.len()), ("s__t", 1));
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
        assert_eq!(catalog.faults.len(), 1);
        let message = catalog.faults[0].error.message();
        assert!(message.contains("position 1") && message.contains("1 more"), "{message}");
    }

    #[test]
    fn catalog_name_collision_renames_and_reports_both() {
        let catalog = collect_catalog([
            ("a", Ok(vec![json!({"name": "b__c"})])),
            ("a__b", Ok(vec![json!({"name": "c"})])),
        ]);
        assert_ne!(catalog.tools[0].name, catalog.tools[1].name);
        let owners: Vec<_> = catalog.faults.iter().map(|fault| fault.server.as_str()).collect();
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
        assert_eq!((catalog.tools.len(), catalog.faults.len()), (1, 1));
    }
}
