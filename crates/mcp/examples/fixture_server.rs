//! A small MCP server for tests. It finds AWS credentials as SDKs do, and has tools that wait, leak secrets and
//! crash.

use std::env;
use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio, exit};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use valetkey_core::SessionContext;
use valetkey_mcp::Gateway;
use valetkey_tools::{Tool, ToolDefinition, ToolOutput, ToolSet};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    if env::args().nth(1).as_deref() == Some("needy") && FoundKeys::find().await.is_none() {
        return Err("it found no credentials".into());
    }
    let mut tools = ToolSet::default();
    for (name, act) in TOOLS {
        let schema = json!({"type": "object", "additionalProperties": true});
        let definition = ToolDefinition::new(name, format!("The fixture's {name}"), schema);
        tools = tools.with(FixtureTool { definition, action: act })?;
    }
    let gateway = Gateway::new(SessionContext::builder().build(), tools);
    Ok(gateway.serve_stdio(CancellationToken::new()).await?)
}

#[derive(Clone, Copy)]
enum Action {
    WhoAmI,
    Slow,
    Leak,
    Crash,
    Echo,
    SpawnChild,
}

const TOOLS: [(&str, Action); 6] = [
    ("whoami", Action::WhoAmI),
    ("slow", Action::Slow),
    ("leak", Action::Leak),
    ("crash", Action::Crash),
    ("echo", Action::Echo),
    ("spawn_child", Action::SpawnChild),
];

struct FixtureTool {
    definition: ToolDefinition,
    action: Action,
}

#[async_trait]
impl Tool for FixtureTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, input: Value) -> ToolOutput {
        let done = match self.action {
            Action::WhoAmI => whoami().await,
            Action::Slow => slow(&input).await,
            Action::Leak => leak().await,
            Action::Crash => crash().await,
            Action::Echo => Ok(json!({"echo": input})),
            Action::SpawnChild => spawn_child(),
        };
        done.map_or_else(error_output, ToolOutput::json)
    }
}

fn error_output(error: Box<dyn Error + Send + Sync>) -> ToolOutput {
    ToolOutput::failed(format!("fixture: {error}"))
}

async fn whoami() -> Result<Value> {
    let keys = FoundKeys::find().await;
    let names: Vec<String> = env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    Ok(json!({
        "key": keys.as_ref().map_or("none", FoundKeys::last_four),
        "source": keys.as_ref().map_or("none", |keys| keys.source),
        "pid": std::process::id(),
        "home": env::var("HOME").ok(),
        "tmp": env::var("TMPDIR").ok(),
        "region": env::var("AWS_REGION").ok(),
        "config": env::var("AWS_CONFIG_FILE").ok().and_then(|path| std::fs::read_to_string(path).ok()),
        "names": names,
    }))
}

/// Marks its start, waits until the file `name` exists, and returns its identity from the start and, in `after`, its
/// key from the end.
async fn slow(input: &Value) -> Result<Value> {
    let mut identity = whoami().await?;
    let name = input["name"].as_str().ok_or("`name` is missing")?;
    let path = PathBuf::from(env::var("TMPDIR")?).join(name);
    std::fs::write(path.with_extension("began"), "")?;
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    identity["after"] = whoami().await?["key"].take();
    Ok(identity)
}

async fn leak() -> Result<Value> {
    let keys = FoundKeys::find().await.ok_or("no credentials")?;
    writeln!(std::io::stderr(), "leak: {} {}", keys.secret, keys.token)?;
    Ok(
        json!({"secret": keys.secret, "text": format!("token={};", keys.token), keys.secret.clone(): [keys.token]}),
    )
}

async fn crash() -> Result<Value> {
    let secret = FoundKeys::find().await.map(|keys| keys.secret).unwrap_or_default();
    writeln!(std::io::stderr(), "the fixture crashes, holding {secret}")?;
    exit(3)
}

fn spawn_child() -> Result<Value> {
    let child = Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    Ok(json!({"pid": child.id()}))
}

struct FoundKeys {
    source: &'static str,
    id: String,
    secret: String,
    token: String,
}

impl FoundKeys {
    /// Reads the environment first, as every SDK does, and then the container endpoint.
    async fn find() -> Option<Self> {
        let var = |name: &str| env::var(name).ok();
        if let (Some(id), Some(secret)) = (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
            let token = var("AWS_SESSION_TOKEN").unwrap_or_default();
            return Some(Self { source: "environment", id, secret, token });
        }
        let body = http_get(&var("AWS_CONTAINER_CREDENTIALS_FULL_URI")?).await.ok()?;
        let field = |name: &str| body[name].as_str().map(str::to_owned);
        let (id, secret) = (field("AccessKeyId")?, field("SecretAccessKey")?);
        Some(Self { source: "endpoint", id, secret, token: field("Token")? })
    }

    fn last_four(&self) -> &str {
        &self.id[self.id.len() - 4..]
    }
}

async fn http_get(url: &str) -> Result<Value> {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("bad url")?;
    let token = env::var("AWS_CONTAINER_AUTHORIZATION_TOKEN")?;
    let mut stream = TcpStream::connect(host).await?;
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (_, body) = response.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(serde_json::from_str(body)?)
}
