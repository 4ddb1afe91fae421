//! `NamePrefixes`: the unique names under which tools and prompts are listed.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Clients allow 64 characters, including a prefix that they add: `mcp__` and the name under which they registered the
/// gateway.
const MAX_PREFIXED_NAME_LEN: usize = 64 - "mcp__valetkey__".len();
const HASH_LEN: usize = 8;
/// The minimum length that is kept of a server's name when the tool name is long.
const MIN_SERVER_LEN: usize = 8;

/// How the tools and prompts of a server are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum NameStyle {
    /// `server__name`.
    Prefixed,
    /// As the server names them.
    Unchanged,
}

/// The name prefix of each server, or `None` for a server whose names are listed unchanged. It depends on the
/// configuration alone, so a name never changes its meaning to another server's tool.
#[derive(Debug, Default)]
pub(in crate::host) struct NamePrefixes(BTreeMap<String, Option<String>>);

impl NamePrefixes {
    /// Adds a hash to the prefixes of servers whose names differ only in characters that no client accepts.
    pub(in crate::host) fn new<'a>(servers: impl Iterator<Item = (&'a str, NameStyle)> + Clone) -> Self {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for (server, _) in servers.clone() {
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
        let style = |(server, style): (&str, NameStyle)| {
            let prefix = match style {
                NameStyle::Prefixed => Some(prefix(server)),
                NameStyle::Unchanged => None,
            };
            (server.to_owned(), prefix)
        };
        Self(servers.map(style).collect())
    }

    /// Returns the name under which `tool` of `server` is listed. A name that is too long with its prefix is truncated
    /// and ends with a stable hash.
    pub(in crate::host) fn name(&self, server: &str, tool: &str) -> String {
        let prefix = match self.0.get(server) {
            Some(Some(prefix)) => prefix.clone(),
            Some(None) => return tool.to_owned(),
            None => sanitize(server),
        };
        let name = format!("{prefix}__{}", sanitize(tool));
        if name.len() <= MAX_PREFIXED_NAME_LEN { name } else { hashed_name(server, tool) }
    }

    /// Whether `name` begins with the prefix of `server`, truncated or not. A server without a prefix may own any name.
    pub(in crate::host) fn may_own(&self, server: &str, name: &str) -> bool {
        let prefix = match self.0.get(server) {
            Some(Some(prefix)) => prefix,
            Some(None) => return true,
            None => return false,
        };
        let common = prefix.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let mut ends = (MIN_SERVER_LEN..=common).chain([prefix.len()]);
        ends.any(|end| end <= common && name[end..].starts_with("__"))
    }
}

/// Returns the name of `tool` of `server` with its hash, which is unique to the pair. A long name is truncated.
pub(in crate::host) fn hashed_name(server: &str, tool: &str) -> String {
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

    fn prefixes<const N: usize>(servers: [&str; N]) -> NamePrefixes {
        NamePrefixes::new(servers.into_iter().map(|server| (server, NameStyle::Prefixed)))
    }

    fn prefixed_name(server: &str, tool: &str) -> String {
        prefixes([server]).name(server, tool)
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
        let names = prefixes(["a b", "a.b", "c"]);
        assert_ne!(names.name("a b", "t"), names.name("a.b", "t"));
        assert_eq!(names.name("c", "t"), "c__t");
        assert_ne!(hashed_name("a", "b__c"), hashed_name("a__b", "c"));
    }

    #[test]
    fn may_own_truncated_name_matches_its_server_only() {
        let server = "example.cost-explorer-and-budgets-mcp-server.v2";
        let names = prefixes([server, "other"]);
        for tool in ["whoami", "t"] {
            let name = names.name(server, tool);
            assert!(names.may_own(server, &name) && !names.may_own("other", &name), "{name}");
        }
    }
}
