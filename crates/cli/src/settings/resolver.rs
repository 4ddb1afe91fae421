//! `[resolver]`: how credential ids are looked up.

use serde::Deserialize;

/// The resolver of credential ids.
#[derive(Debug, Clone)]
pub(crate) enum ResolverSettings {
    SecretsManager(SecretResolverSettings),
    Mcp(ToolResolverSettings),
}

/// Each id refers to the secret whose name is the prefix and the id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretResolverSettings {
    #[serde(default)]
    pub(crate) prefix: String,
    /// The account whose credentials read the secrets.
    pub(crate) source: String,
    pub(crate) region: Option<String>,
}

/// Each id is the argument of a tool of a server of the `mcpServers` file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolResolverSettings {
    pub(crate) server: String,
    /// The server's own name of the tool.
    pub(crate) tool: String,
    /// The argument that receives the id (default: `id`).
    pub(crate) argument: Option<String>,
    /// JSON pointers into the result.
    pub(crate) credentials_pointer: Option<String>,
    pub(crate) id_pointer: Option<String>,
    pub(crate) region_pointer: Option<String>,
}
