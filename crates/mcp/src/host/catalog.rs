//! `ToolCatalog`: the tools of all servers of a session, under unique names that every client accepts.
//!
//! The name of a proxied tool is `server__tool`, limited to the characters and the length that every client accepts.
//!
//! | problem | resolution |
//! |---|---|
//! | a character that clients reject | replaced by `_` |
//! | a name that is too long | truncated, with a hash of the server and the tool |
//! | servers whose names become equal | a hash in each prefix |
//! | tools whose names become equal | a hash in each name, and an error of each server |
//! | a malformed definition | the tool is left out, with an error of its server |

mod definition;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use sha2::{Digest, Sha256};
use valetkey_core::{Error, ErrorKind, Result};

use super::server::ToolList;
use definition::normalize_definition;

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
                    catalog.errors.extend(incomplete.map(|error| ServerError::new(server, error)));
                }
                Err(error) => catalog.errors.push(ServerError::new(server, error)),
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
            self.errors.push(ServerError::new(server, error));
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
        self.errors.extend(losers.into_iter().map(|(server, name)| collision_error(server, &name)));
    }
}

fn collision_error(server: String, name: &str) -> ServerError {
    let message = format!("the tool name `{name}` is claimed by more than one tool");
    let error = Error::new(ErrorKind::Invalid, message)
        .with_next_step("call the tools by the names that are listed, or rename a server");
    ServerError { server, error }
}

impl ProxiedTool {
    fn new(name: String, server: &str, tool: String, definition: Value) -> Self {
        let mut tool =
            Self { name: String::new(), server: server.to_owned(), tool, definition, selects_account: false };
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

/// Clients allow 64 characters, including a prefix that they add: `mcp__` and the name under which they registered the
/// gateway.
const MAX_PREFIXED_NAME_LEN: usize = 64 - "mcp__valetkey__".len();
const HASH_LEN: usize = 8;
/// The minimum length that is kept of a server's name when the tool name is long.
const MIN_SERVER_LEN: usize = 8;

/// The name prefix of each server. It depends on the configuration alone, so a name never changes its meaning to
/// another server's tool.
#[derive(Debug, Default)]
pub(super) struct NamePrefixes(BTreeMap<String, String>);

impl NamePrefixes {
    /// Adds a hash to the prefixes of servers whose names differ only in characters that no client accepts.
    pub(super) fn new<'a>(servers: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for server in servers.clone() {
            *count.entry(sanitize(server)).or_default() += 1;
        }
        let prefix = |server: &str| {
            let sanitized = sanitize(server);
            if count.get(&sanitized) == Some(&1) {
                sanitized
            } else {
                format!("{sanitized}_{}", short_hash(&[server]))
            }
        };
        Self(servers.map(|server| (server.to_owned(), prefix(server))).collect())
    }

    /// Returns the name of `tool` of `server`. A name that is too long is truncated and ends with a stable hash.
    pub(super) fn name(&self, server: &str, tool: &str) -> String {
        let prefix = self.0.get(server).map_or_else(|| sanitize(server), Clone::clone);
        let name = format!("{prefix}__{}", sanitize(tool));
        if name.len() <= MAX_PREFIXED_NAME_LEN { name } else { hashed_name(server, tool) }
    }

    /// Whether `name` begins with the prefix of `server`, truncated or not.
    pub(super) fn may_own(&self, server: &str, name: &str) -> bool {
        let Some(prefix) = self.0.get(server) else { return false };
        let common = prefix.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let mut ends = (MIN_SERVER_LEN..=common).chain([prefix.len()]);
        ends.any(|end| end <= common && name[end..].starts_with("__"))
    }
}

/// Returns the name of `tool` of `server` with its hash, which is unique to the pair. A long name is truncated.
pub(super) fn hashed_name(server: &str, tool: &str) -> String {
    let available = MAX_PREFIXED_NAME_LEN - "__".len() - "_".len() - HASH_LEN;
    let (mut server_part, mut tool_part) = (sanitize(server), sanitize(tool));
    server_part.truncate(available.saturating_sub(tool_part.len()).max(MIN_SERVER_LEN));
    tool_part.truncate(available - server_part.len());
    format!("{server_part}__{tool_part}_{}", short_hash(&[server, "\0", tool]))
}

fn short_hash(parts: &[&str]) -> String {
    let digest = parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize();
    digest.iter().take(HASH_LEN / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Maps each character to one ASCII character, so that truncation never splits a character.
fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
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

    fn prefixed_name(server: &str, tool: &str) -> String {
        NamePrefixes::new([server].into_iter()).name(server, tool)
    }

    #[test]
    fn prefixed_name_that_fits_has_no_hash() {
        assert_eq!(prefixed_name("aws-api", "call_aws"), "aws-api__call_aws");
        assert_eq!(prefixed_name("example.notes", "echo"), "example_notes__echo", "a dot costs no hash");
    }

    #[test]
    fn prefixed_name_leaves_room_for_client_prefix() {
        for (server, tool) in [
            ("s".repeat(80), "t".repeat(80)),
            ("サーバー".repeat(20), "t".to_owned()),
            ("s".to_owned(), "ツール".repeat(40)),
        ] {
            let name = prefixed_name(&server, &tool);
            assert!(name.is_ascii() && format!("mcp__valetkey__{name}").len() <= 64, "{name}");
            assert!(name.contains("__"), "{name}");
        }
        let long = prefixed_name("example.cost-explorer-and-budgets-mcp-server.v2", "whoami");
        assert!(long.starts_with("example_cost-explorer-and-b") && long.contains("__whoami_"), "{long}");
    }

    #[test]
    fn prefixed_name_of_servers_sanitized_alike_is_distinct() {
        let prefixes = NamePrefixes::new(["a b", "a.b", "c"].into_iter());
        assert_ne!(prefixes.name("a b", "t"), prefixes.name("a.b", "t"));
        assert_eq!(prefixes.name("c", "t"), "c__t");
        assert_ne!(hashed_name("a", "b__c"), hashed_name("a__b", "c"));
    }

    #[test]
    fn may_own_truncated_name_matches_its_server_only() {
        let server = "example.cost-explorer-and-budgets-mcp-server.v2";
        let prefixes = NamePrefixes::new([server, "other"].into_iter());
        for tool in ["whoami", "t"] {
            let name = prefixes.name(server, tool);
            assert!(prefixes.may_own(server, &name) && !prefixes.may_own("other", &name), "{name}");
        }
    }
}
