//! `ClientFile`: the configuration file of an MCP client, with its comments and its layout.

use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstNode, CstObject, CstObjectProp, CstRootNode};
use serde_json::{Map, Value};
use valetkey::mcp::McpConfig;
use valetkey::mcp::config::{VarLookup, jsonc_to_json};

use crate::check::find_line;
use crate::files::{self, AllowedWriters};
use crate::nested;
use crate::settings::Diagnostic;

/// JSON with comments and trailing commas, as clients accept it.
pub(super) const PARSE_OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The name of a server, and its entry.
pub(super) type NamedEntry = (String, Map<String, Value>);

/// A client's file whose servers valetkey can read.
#[derive(Debug)]
pub(super) struct ClientFile {
    /// The file itself, if the user named a link to it.
    pub(super) path: PathBuf,
    /// The path as the user named it.
    pub(super) named: PathBuf,
    pub(super) text: String,
    /// The valid servers and the errors of the others. References are not resolved: the client does that.
    pub(super) config: McpConfig,
}

impl ClientFile {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Diagnostic> {
        let text = files::read_text(path, AllowedWriters::OwnerAndGroup)
            .map_err(|what| Diagnostic::in_file(path, what))?;
        Self::parse(path, text)
    }

    /// Parses `text`, which is that of the file at `path` or an earlier version of it.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Diagnostic> {
        let home = std::env::var("HOME").ok();
        let variables =
            VarLookup::new(move |name| if name == "HOME" { home.clone() } else { Some(name.to_owned()) });
        let config = McpConfig::parse(&text, &variables)
            .map_err(|error| Diagnostic::in_file(path, error.to_string()))?;
        let named = path.to_owned();
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let file = Self { path, named, text, config };
        let (_root, servers) = file.servers()?;
        match repeated_key(&servers) {
            Some(server) => Err(file.diagnostic(&server, None, "has a key twice; remove one of them")),
            None => Ok(file),
        }
    }

    /// Returns an editable copy of the file, and its object of servers, which is usable as long as the root is.
    pub(super) fn servers(&self) -> Result<(CstRootNode, CstObject), Diagnostic> {
        let text = self.text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.text);
        let invalid = |what: String| Diagnostic::in_file(&self.named, format!("is not valid JSON: {what}"));
        let root = CstRootNode::parse(text, &PARSE_OPTIONS)
            .map_err(|error| invalid(error.kind().to_string()).at_line(Some(error.line_display())))?;
        let file = root.object_value().ok_or_else(|| invalid("it must be an object".to_owned()))?;
        let nested = || file.object_value("mcp").and_then(|mcp| mcp.object_value("servers"));
        let named = file.object_value("mcpServers").or_else(|| file.object_value("servers")).or_else(nested);
        let servers = named.unwrap_or(file);
        Ok((root, servers))
    }

    /// Returns the text of an edited copy.
    pub(super) fn edited_text(&self, root: &CstRootNode) -> String {
        let mark = if self.text.starts_with(BYTE_ORDER_MARK) { "\u{feff}" } else { "" };
        format!("{mark}{root}")
    }

    /// Returns the entries of the servers, in the order of the file.
    pub(super) fn entries(&self) -> Result<Vec<NamedEntry>, Diagnostic> {
        let (_root, servers) = self.servers()?;
        let entry = |property: &CstObjectProp| {
            let value = serde_json::from_str(&jsonc_to_json(&property.value()?.to_string())).ok()?;
            Some((property.decoded_name()?, value))
        };
        Ok(servers.properties().iter().filter_map(entry).collect())
    }

    /// Returns the name of the entry that starts valetkey.
    pub(super) fn gateway(&self) -> Option<String> {
        nested::gateway_servers(&self.config).into_iter().next()
    }

    /// Creates an error at a field of a server.
    pub(super) fn diagnostic(&self, server: &str, field: Option<&str>, what: &str) -> Diagnostic {
        let line = find_line(&jsonc_to_json(&self.text), server, field);
        let field = field.map(|field| format!(" `{field}`")).unwrap_or_default();
        Diagnostic::in_file(&self.named, format!("server `{server}`:{field} {what}")).at_line(line)
    }
}

/// Returns the name of the first server that has a key twice, or that is itself there twice.
fn repeated_key(servers: &CstObject) -> Option<String> {
    let named =
        servers.properties().into_iter().filter_map(|entry| Some((entry.decoded_name()?, entry.value()?)));
    let named: Vec<_> = named.collect();
    let is_repeated = |name: &str| named.iter().filter(|(other, _)| other == name).count() > 1;
    named
        .iter()
        .find(|(name, value)| is_repeated(name) || has_repeated_key(value))
        .map(|(name, _)| name.clone())
}

fn has_repeated_key(node: &CstNode) -> bool {
    let Some(object) = node.as_object() else { return false };
    let properties = object.properties();
    let mut names: Vec<_> = properties.iter().filter_map(|property| property.decoded_name()).collect();
    names.sort();
    names.windows(2).any(|pair| pair[0] == pair[1])
        || properties.iter().filter_map(|property| property.value()).any(|value| has_repeated_key(&value))
}
