//! `Catalog`: what all servers of a session offer, under names that are unique and fit every client.

use std::collections::{BTreeMap, HashSet};

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

    /// Tools that come out under one name are told apart by longer ones, and their owners are told. A server may foresee
    /// the longer name of another's tool and claim it: so this goes on until every name is one tool's.
    fn part_collisions(&mut self) {
        while let Some((name, claims)) = self.collision() {
            for &claim in &claims {
                let others = claims.iter().filter(|&&other| other != claim);
                let others: Vec<_> = others.map(|&other| self.tools[other].server.as_str()).collect();
                let message = format!("the tool name `{name}` is also claimed by {}", others.join(", "));
                let error = Error::new(ErrorKind::Invalid, message).with_next_step(
                    "tools are called by the names that are listed; rename a server to choose",
                );
                let server = self.tools[claim].server.clone();
                self.faults.push(ServerFault { server, error });
            }
            self.part(&name, claims);
        }
    }

    /// Who has the name for its longer one keeps it, and the others get theirs. When several have it so, they are left
    /// out: nobody could tell whom a call is for.
    fn part(&mut self, name: &str, claims: Vec<usize>) {
        let distinct = |tool: &ProxiedTool| name::distinct(&tool.server, &tool.tool);
        let (keep, part): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|&claim| distinct(&self.tools[claim]) == name);
        for claim in part {
            let tool = &mut self.tools[claim];
            tool.rename(distinct(tool));
        }
        if keep.len() > 1 {
            keep.into_iter().rev().for_each(|claim| drop(self.tools.remove(claim)));
        }
    }

    /// A name that several tools have, and which.
    fn collision(&self) -> Option<(String, Vec<usize>)> {
        let mut owners: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, tool) in self.tools.iter().enumerate() {
            owners.entry(&tool.name).or_default().push(index);
        }
        let (name, claims) = owners.into_iter().find(|(_, claims)| claims.len() > 1)?;
        Some((name.to_owned(), claims))
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
    fn a_name_that_another_server_foresaw_stays_with_the_tool_whose_it_is() {
        let foreseen = name::distinct("a", "b__c");
        let crafted = foreseen.strip_prefix("a__b__").unwrap();
        let catalog = Catalog::gather([
            ("a", Ok(vec![json!({"name": "b__c"})])),
            ("a__b", Ok(vec![json!({"name": "c"}), json!({"name": crafted})])),
        ]);
        let names: HashSet<_> = catalog.tools.iter().map(|tool| &tool.name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let owner = catalog.tools.iter().find(|tool| tool.name == foreseen).unwrap();
        assert_eq!((owner.server.as_str(), owner.tool.as_str()), ("a", "b__c"));
    }

    #[test]
    fn one_broken_server_does_not_hide_the_others() {
        let broken = Err(Error::new(ErrorKind::Unavailable, "down"));
        let catalog = Catalog::gather([("a", broken), ("b", Ok(vec![json!({"name": "t"})]))]);
        assert_eq!((catalog.tools.len(), catalog.faults.len()), (1, 1));
    }
}
