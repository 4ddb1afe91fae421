//! `[servers.NAME]`: how a server gets credentials, and the limits on its tools and its AWS requests.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

use super::{Delivery, HomeFolder};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSettings {
    pub(crate) credentials: Option<Delivery>,
    pub(crate) account: Option<String>,
    /// The `HOME` of the server.
    pub(crate) home: Option<HomeFolder>,
    /// Whether its names are listed with a prefix.
    pub(crate) prefix: Option<bool>,
    /// The time without a call after which the server's process is stopped.
    pub(crate) idle_seconds: Option<u64>,
    /// The service that requests to a remote server are signed for, with `credentials = "sigv4"`.
    pub(crate) service: Option<String>,
    /// The region that they are signed for.
    pub(crate) region: Option<String>,
    /// The account that signs the requests for the lists of `serve --http`.
    pub(crate) list_account: Option<String>,
    /// The tools that are usable. A table of its own, read beside the others.
    #[serde(skip)]
    pub(crate) tools: ToolSettings,
    /// The AWS requests that the server may send, with `credentials = "proxy"`. A table of its own, too.
    #[serde(skip)]
    pub(crate) requests: Option<RequestSettings>,
    /// By the server's own name of a tool, or `*` for all other tools: the name of a policy, or a policy as JSON.
    #[serde(default)]
    pub(crate) tool_policies: BTreeMap<String, String>,
}

/// Limits on the tools of a server, by the server's own names, in addition to those of the `mcpServers` file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolSettings {
    /// If present, no other tool is usable.
    pub(crate) allow: Option<Vec<String>>,
    /// These tools are not usable.
    #[serde(default)]
    pub(crate) deny: Vec<String>,
}

/// Limits on the AWS requests of a server that holds no key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestSettings {
    /// If not empty, no other operation is permitted.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    /// These operations are not permitted.
    #[serde(default)]
    pub(crate) deny: Vec<String>,
    /// If not empty, no other region is permitted.
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    /// Only operations that read are permitted.
    #[serde(default)]
    pub(crate) read_only: bool,
    pub(crate) max_requests_per_second: Option<NonZeroU32>,
}
