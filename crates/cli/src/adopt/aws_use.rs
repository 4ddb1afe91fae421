//! Judges from an entry of a client's file whether its server uses AWS.

use serde_json::{Map, Value};

/// Whether a server uses AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwsUse {
    /// Its variables or its name say so.
    Yes,
    /// It is a server that is known to use none.
    No,
    /// Neither.
    Unknown,
}

/// Variables that only a program that uses AWS needs.
const AWS_VARS: &[&str] = &[
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_ENDPOINT_URL",
];

/// Parts of the names of servers that need no AWS credentials. They are checked first: some are made by AWS.
const OTHER_SERVERS: &[&str] = &[
    "awslabs.aws-documentation-mcp-server",
    "awslabs.aws-diagram-mcp-server",
    "awslabs.cdk-mcp-server",
    "awslabs.code-doc-gen-mcp-server",
    "awslabs.frontend-mcp-server",
    "@modelcontextprotocol/server-brave-search",
    "@modelcontextprotocol/server-everything",
    "@modelcontextprotocol/server-fetch",
    "@modelcontextprotocol/server-filesystem",
    "@modelcontextprotocol/server-git",
    "@modelcontextprotocol/server-memory",
    "@modelcontextprotocol/server-postgres",
    "@modelcontextprotocol/server-puppeteer",
    "@modelcontextprotocol/server-sequential-thinking",
    "@modelcontextprotocol/server-slack",
    "@azure/mcp",
    "@notionhq/notion-mcp-server",
    "@playwright/mcp",
    "@sentry/mcp-server",
    "@stripe/mcp",
    "@supabase/mcp-server-supabase",
    "@upstash/context7-mcp",
    "chrome-devtools-mcp",
    "figma-developer-mcp",
    "firecrawl-mcp",
    "github-mcp-server",
    "mcp-remote",
    "mcp-server-fetch",
    "mcp-server-git",
    "mcp-server-sqlite",
    "mcp-server-time",
    "mcp/fetch",
    "mcp/time",
    "tavily-mcp",
];

/// Words in the name of a program, a package or an image that uses AWS.
const AWS_WORDS: &[&str] = &["aws", "awslabs", "amazon", "bedrock", "cloudwatch", "dynamodb"];

/// Judges the entry of a server by its variables, its program and its arguments.
pub(super) fn aws_use(entry: &Map<String, Value>) -> AwsUse {
    let has_aws_var = |env: &Map<String, Value>| env.keys().any(|name| AWS_VARS.contains(&name.as_str()));
    if entry.get("env").and_then(Value::as_object).is_some_and(has_aws_var) {
        return AwsUse::Yes;
    }
    let names = || program_names(entry);
    if names().any(|name| OTHER_SERVERS.iter().any(|other| name.contains(other))) {
        return AwsUse::No;
    }
    if names().any(|name| has_aws_word(&name)) { AwsUse::Yes } else { AwsUse::Unknown }
}

/// Returns the words of the command line that may name a program, a package or an image. Files of the user do not:
/// their folders have any name.
fn program_names(entry: &Map<String, Value>) -> impl Iterator<Item = String> {
    let command = entry.get("command").and_then(Value::as_str).map(|command| {
        let file = command.rsplit('/').next().unwrap_or(command);
        file.to_lowercase()
    });
    let args = entry.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let is_name =
        |word: &&str| !word.starts_with(['/', '.', '~', '-', '$']) && !word.contains(['=', '\\', ' ']);
    command.into_iter().chain(args.filter(is_name).map(str::to_lowercase))
}

fn has_aws_word(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| AWS_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_use_of_common_servers_is_known() {
        for (entry, expected) in [
            (r#"{"command": "uvx", "args": ["awslabs.aws-api-mcp-server@latest"]}"#, AwsUse::Yes),
            (r#"{"command": "uvx", "args": ["mcp-proxy-for-aws@1.6.3", "https://x"]}"#, AwsUse::Yes),
            (r#"{"command": "uvx", "args": ["awslabs.aws-documentation-mcp-server@latest"]}"#, AwsUse::No),
            (r#"{"command": "/opt/aws-tool/bin/aws-mcp"}"#, AwsUse::Yes),
            (r#"{"command": "/opt/aws-tool/bin/notes"}"#, AwsUse::Unknown),
            (r#"{"command": "npx", "args": ["notes", "/srv/aws/notes"]}"#, AwsUse::Unknown),
            (r#"{"command": "x", "env": {"AWS_REGION": "eu-central-1"}}"#, AwsUse::Yes),
            (r#"{"command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"]}"#, AwsUse::No),
            (
                r#"{"command": "npx", "args": ["-y", "@modelcontextprotocol/server-aws-kb-retrieval"]}"#,
                AwsUse::Yes,
            ),
        ] {
            let value: Value = serde_json::from_str(entry).unwrap();
            assert_eq!(aws_use(value.as_object().unwrap()), expected, "{entry}");
        }
    }
}
