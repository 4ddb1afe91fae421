//! Calls through MCP gateways: the servers, relays and clients of the measure `gateway`.

pub(crate) mod authentication;
pub(crate) mod client;
pub(crate) mod http_client;
pub(crate) mod load;
pub(crate) mod peer;
pub(crate) mod stdio_client;
pub(crate) mod subjects;
