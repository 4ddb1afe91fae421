//! The variables that keep real AWS programs on loopback and quiet.

use crate::Egress;

/// The region that the rig's peers are seeded in, and that [`aws_environment`] names.
pub const REGION: &str = "us-east-1";

/// Sends every AWS call of a child to `endpoint`, and none to the instance metadata service.
pub fn aws_environment(endpoint: &str) -> Vec<(String, String)> {
    owned_pairs([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ])
}

/// What `awslabs.aws-api-mcp-server` needs beside [`aws_environment`] and credentials: its proxy, and its quiet switches.
pub fn aws_api_environment(egress: &Egress) -> Vec<(String, String)> {
    let mut vars = owned_pairs([
        ("AWS_API_MCP_TELEMETRY", "false"),
        ("AWS_API_MCP_SUPPRESS_DEPRECATION_WARNING", "true"),
        ("FASTMCP_LOG_LEVEL", "ERROR"),
        ("FASTMCP_CHECK_FOR_UPDATES", "off"),
        ("FASTMCP_SHOW_SERVER_BANNER", "false"),
    ]);
    vars.extend(egress.env());
    vars
}

fn owned_pairs<const N: usize>(vars: [(&str, &str); N]) -> Vec<(String, String)> {
    vars.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
