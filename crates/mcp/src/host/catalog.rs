//! `Catalog`: what all servers of a session offer, under names that are unique and fit every client.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use valetkey_core::{Error, ErrorKind, Result};

use super::name;

/// The tools of every server that answered, and the faults of those that did not.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Catalog {
    /// The tools, in the order of their servers.
    pub tools: Vec<ProxiedTool>,
    /// What is wrong with servers, and names that two tools laid claim to.
    pub faults: Vec<ServerFault>,
}

/// One tool of one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxiedTool {
    /// The name to call it by: `server__tool`, at most 64 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// The server.
    pub server: String,
    /// The server's own name for the tool.
    pub tool: String,
    /// The tool as the server describes it, with `name` in place of the server's own.
    pub definition: Value,
}

/// What is wrong with one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerFault {
    /// The server.
    pub server: String,
    /// What is wrong.
    pub error: Error,
}

impl Catalog {
    pub(super) fn gather<'a>(listed: impl IntoIterator<Item = (&'a str, Result<Vec<Value>>)>) -> Self {
        let mut catalog = Self::default();
        for (server, tools) in listed {
            match tools {
                Ok(tools) => catalog.add(server, tools),
                Err(error) => catalog.faults.push(ServerFault { server: server.to_owned(), error }),
            }
        }
        catalog.part_collisions();
        catalog
    }

    /// A server that lists a tool twice is told; the first counts.
    fn add(&mut self, server: &str, tools: Vec<Value>) {
        let mut names = HashSet::new();
        for tool in tools.into_iter().filter_map(|tool| ProxiedTool::new(server, tool)) {
            if names.insert(tool.tool.clone()) {
                self.tools.push(tool);
            } else {
                let error = Error::new(ErrorKind::Invalid, format!("lists the tool `{}` twice", tool.name));
                self.faults.push(ServerFault { server: server.to_owned(), error });
            }
        }
    }

    /// Two tools that come out under one name are both renamed, and both owners are told.
    fn part_collisions(&mut self) {
        let mut owners: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, tool) in self.tools.iter().enumerate() {
            owners.entry(tool.name.clone()).or_default().push(index);
        }
        let mut collisions: Vec<_> = owners.into_iter().filter(|(_, claims)| claims.len() > 1).collect();
        collisions.sort();
        for (name, claims) in collisions {
            for &claim in &claims {
                let tool = &self.tools[claim];
                let others: Vec<_> =
                    claims.iter().filter(|&&c| c != claim).map(|&c| self.tools[c].server.clone()).collect();
                let message = format!("the tool name `{name}` is also claimed by {}", others.join(", "));
                let error = Error::new(ErrorKind::Invalid, message)
                    .with_next_step("both were renamed; rename a server to choose");
                self.faults.push(ServerFault { server: tool.server.clone(), error });
            }
            for claim in claims {
                let tool = &mut self.tools[claim];
                tool.rename(name::distinct(&tool.server, &tool.tool));
            }
        }
    }
}

impl ProxiedTool {
    /// `None` for an entry without a name, which nobody could call.
    fn new(server: &str, definition: Value) -> Option<Self> {
        let tool = definition.get("name")?.as_str()?.to_owned();
        let mut proxied = Self { name: String::new(), server: server.to_owned(), tool, definition };
        proxied.rename(name::proxied(server, &proxied.tool));
        Some(proxied)
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

    #[test]
    fn definitions_keep_every_field_but_the_name() {
        let tool = json!({"name": "list", "inputSchema": {}, "x-unknown": [1]});
        let catalog = Catalog::gather([("s3", Ok(vec![tool]))]);
        assert_eq!(
            catalog.tools[0].definition,
            json!({"name": "s3__list", "inputSchema": {}, "x-unknown": [1]})
        );
    }

    #[test]
    fn a_collision_renames_both_and_is_reported_with_both_owners() {
        let catalog = Catalog::gather([
            ("a", Ok(vec![json!({"name": "b__c"})])),
            ("a__b", Ok(vec![json!({"name": "c"})])),
        ]);
        assert_ne!(catalog.tools[0].name, catalog.tools[1].name);
        let owners: Vec<_> = catalog.faults.iter().map(|fault| fault.server.as_str()).collect();
        assert_eq!(owners, ["a", "a__b"]);
    }

    #[test]
    fn one_broken_server_does_not_hide_the_others() {
        let broken = Err(Error::new(ErrorKind::Unavailable, "down"));
        let catalog = Catalog::gather([("a", broken), ("b", Ok(vec![json!({"name": "t"})]))]);
        assert_eq!((catalog.tools.len(), catalog.faults.len()), (1, 1));
    }
}
