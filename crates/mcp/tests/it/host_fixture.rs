//! A session with a host over example servers, and helpers to call them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use valetkey_core::SessionContext;
use valetkey_core::audit::InMemoryAudit;
use valetkey_mcp::child::{Delivery, HostEnvironment};
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::{McpConfig, McpHost, McpHostBuilder, ToolCatalog};

use crate::keys::keys;

/// Returns the path of a program of `crates/mcp/examples`, as built with these tests.
pub(crate) fn example_path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(
        path.exists(),
        "{} is not there: build without `--test`, so that examples are built",
        path.display()
    );
    path
}

pub(crate) fn server(program: &str, delivery: Delivery) -> ServerConfig {
    let mut server = ServerConfig::new(example_path(program).to_str().unwrap());
    server.delivery = delivery;
    server
}

pub(crate) fn fixture_server(delivery: Delivery) -> ServerConfig {
    server("fixture_server", delivery)
}

/// Returns the raw server with the deviation from the protocol that `mode` selects.
pub(crate) fn raw_server(mode: &str) -> ServerConfig {
    let mut server = server("raw_server", Delivery::Env);
    server.args = vec![mode.to_owned()];
    server
}

/// Returns a server that floods its client, lists 100,000 tools or always changes its list, as `mode` selects.
pub(crate) fn excessive_server(mode: &str) -> ServerConfig {
    let mut server = server("excessive_server", Delivery::Endpoint);
    server.args = vec![mode.to_owned()];
    server
}

/// Returns a server with prompts and resources, whose URIs have this scheme, of the era `legacy` or `modern`.
pub(crate) fn content_server(era: &str, scheme: &str) -> ServerConfig {
    let mut server = server("content_server", Delivery::Env);
    server.args = vec![era.to_owned(), scheme.to_owned()];
    server
}

/// Returns the server that sends what the arguments of its tool list.
pub(crate) fn scripted_server(era: &str, delivery: Delivery) -> ServerConfig {
    let mut server = server("scripted_server", delivery);
    server.args = vec![era.to_owned()];
    server
}

pub(crate) fn mcp_config<const N: usize>(servers: [(&str, ServerConfig); N]) -> McpConfig {
    let mut config = McpConfig::default();
    config.servers.extend(servers.map(|(name, server)| (name.to_owned(), server)));
    config
}

/// A host environment with variables that must not reach a child.
pub(crate) fn host_environment() -> HostEnvironment {
    host_environment_with(&[])
}

/// Like [`host_environment`], with further variables.
pub(crate) fn host_environment_with(further: &[(&str, &str)]) -> HostEnvironment {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "host"),
        ("AWS_SECRET_ACCESS_KEY", "host"),
        ("AWS_PROFILE", "host"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/host"),
        ("GITHUB_TOKEN", "host"),
        ("HOME", "/srv/host"),
        ("LANG", "C.UTF-8"),
    ];
    let variables = variables.iter().chain(further);
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    HostEnvironment::new(variables.chain([("PATH".into(), std::env::var_os("PATH").unwrap())]))
}

/// A session, its host, and its audit records.
pub(crate) struct HostFixture {
    pub(crate) session: SessionContext,
    pub(crate) host: McpHost,
    pub(crate) audit: Arc<InMemoryAudit>,
}

impl HostFixture {
    /// Creates a session without credentials.
    pub(crate) async fn without_credentials<const N: usize>(servers: [(&str, ServerConfig); N]) -> Self {
        Self::with_builder(servers, |host| host).await
    }

    /// Creates a session with one server, `fixture`, and credentials named `name`.
    pub(crate) async fn with_credentials(name: &str, delivery: Delivery) -> Self {
        let fixture = Self::without_credentials([("fixture", fixture_server(delivery))]).await;
        fixture.set(name);
        fixture
    }

    pub(crate) async fn with_builder<const N: usize>(
        servers: [(&str, ServerConfig); N],
        describe: impl FnOnce(McpHostBuilder) -> McpHostBuilder,
    ) -> Self {
        let audit = Arc::new(InMemoryAudit::default());
        let session = SessionContext::builder().region("eu-central-1".parse().unwrap());
        let session = session.audit(Arc::clone(&audit) as _).build();
        // A long budget, because test machines may be slow.
        let builder = McpHost::builder(&session, mcp_config(servers)).list_budget(Duration::from_secs(120));
        let builder = builder.environment(host_environment());
        let host = describe(builder).start().await.unwrap();
        Self { session, host, audit }
    }

    pub(crate) fn set(&self, name: &str) {
        self.session.set_credentials(keys(name)).unwrap();
    }

    /// Calls a tool and returns the whole MCP result.
    pub(crate) async fn call_raw(&self, tool: &str, arguments: Value) -> Value {
        let arguments = arguments.as_object().cloned();
        let result = self.host.call(tool, arguments, &CancellationToken::new()).await;
        result.unwrap_or_else(|| panic!("no tool {tool}"))
    }

    /// Calls a tool that succeeds, and returns its structured content.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call_raw(tool, arguments).await;
        assert_ne!(result["isError"], json!(true), "{result}");
        result["structuredContent"].clone()
    }

    /// Calls a tool that fails, and returns its error text.
    pub(crate) async fn call_error(&self, tool: &str) -> String {
        self.call_error_with(tool, json!({})).await
    }

    pub(crate) async fn call_error_with(&self, tool: &str, arguments: Value) -> String {
        let result = self.call_raw(tool, arguments).await;
        assert_eq!(result["isError"], json!(true), "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn whoami(&self) -> Value {
        self.call("fixture__whoami", json!({})).await
    }

    /// Returns the key that the fixture server signs with, and the server's process id.
    pub(crate) async fn key_and_pid(&self) -> (String, u32) {
        let answer = self.whoami().await;
        (answer["key"].as_str().unwrap().to_owned(), pid(&answer))
    }

    pub(crate) fn pid(&self, server: &str) -> Option<u32> {
        self.host.pids().find_map(|(name, pid)| (name == server).then_some(pid))
    }

    pub(crate) async fn catalog(&self) -> ToolCatalog {
        self.host.all_tools().await
    }
}

pub(crate) fn pid(answer: &Value) -> u32 {
    answer["pid"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap_or_else(|| panic!("no pid in {answer}"))
}
