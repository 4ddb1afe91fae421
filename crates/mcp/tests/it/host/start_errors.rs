//! Unusable servers are reported, and do not affect the others.

use std::time::Duration;

use serde_json::json;
use valetkey_mcp::child::{Delivery, Launcher};
use valetkey_mcp::config::{ServerConfig, VarLookup};
use valetkey_mcp::{McpConfig, McpHostBuilder};

use crate::host_fixture::{HostFixture, example_path, fixture_server, raw_server};

fn with_short_start_timeout(host: McpHostBuilder) -> McpHostBuilder {
    host.start_timeout(Duration::from_millis(300))
}

fn shell_server(script: &str) -> ServerConfig {
    let mut server = ServerConfig::new("sh");
    server.args = vec!["-c".to_owned(), script.to_owned()];
    server
}

/// Returns the error that the catalog reports for `server`, and asserts that it lists the healthy server.
async fn server_error(fixture: &HostFixture, server: &str) -> String {
    let catalog = fixture.catalog().await;
    assert!(catalog.tools.iter().any(|tool| tool.name == "fixture__whoami"), "{catalog:?}");
    let error = catalog.errors.iter().find(|error| error.server == server);
    error.unwrap_or_else(|| panic!("no error of {server}")).error.to_string()
}

#[tokio::test]
async fn server_program_not_found_names_command_field() {
    let broken = ServerConfig::new("no-such-program-anywhere");
    let fixture = HostFixture::without_credentials([
        ("broken", broken),
        ("fixture", fixture_server(Delivery::Endpoint)),
    ])
    .await;
    let message = server_error(&fixture, "broken").await;
    assert!(message.contains("`command`") && message.contains("not found"), "{message}");
    assert!(fixture.call_error("broken__anything").await.contains("not found"));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn server_not_startable_names_its_field_each_time() {
    let missing = ServerConfig::new("no-such-program-anywhere");
    let line = ServerConfig::new("npx -y thing");
    let mut nowhere = ServerConfig::new("sh");
    nowhere.cwd = Some("/no-such-folder".into());
    let launcher = || Launcher::new(example_path("launcher"), ["launch"]);
    let fixture =
        HostFixture::with_builder([("line", line), ("missing", missing), ("nowhere", nowhere)], |host| {
            host.launcher(launcher())
        })
        .await;
    fixture.set("AAAA");
    for _ in 0..8 {
        for (server, expected) in [
            ("line", "split the line into `command` and `args`"),
            ("missing", "`command` names a program that is not found"),
            ("nowhere", "`cwd` names a folder that does not exist"),
        ] {
            let result = fixture.call_raw(&format!("{server}__anything"), json!({})).await;
            let error = &result["structuredContent"]["error"];
            assert!(result["content"][0]["text"].as_str().unwrap().contains(expected), "{result}");
            assert_eq!((&error["code"], &error["transient"]), (&json!("invalid"), &json!(false)), "{result}");
        }
    }
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn server_exit_at_start_reports_stderr() {
    let broken = shell_server("echo 'no licence found' >&2; exit 1");
    let fixture = HostFixture::without_credentials([
        ("broken", broken),
        ("fixture", fixture_server(Delivery::Endpoint)),
    ])
    .await;
    let message = server_error(&fixture, "broken").await;
    assert!(message.contains("could not be started") && message.contains("no licence found"), "{message}");
    fixture.set("AAAA");
    assert_eq!(fixture.key_and_pid().await.0, "AAAA");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn server_without_response_times_out() {
    let fixture = HostFixture::with_builder([("mute", raw_server("mute"))], with_short_start_timeout).await;
    let message = fixture.catalog().await.errors[0].error.to_string();
    assert!(message.contains("did not answer in time"), "{message}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn server_noise_on_stdout_is_skipped() {
    let fixture = HostFixture::without_credentials([("noisy", raw_server("noisy"))]).await;
    let catalog = fixture.catalog().await;
    assert_eq!(catalog.tools[0].name, "noisy__tool", "{catalog:?}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn server_exit_on_discover_falls_back_to_initialize() {
    let fixture = HostFixture::without_credentials([("touchy", raw_server("touchy"))]).await;
    let catalog = fixture.catalog().await;
    assert_eq!(catalog.tools[0].name, "touchy__tool", "{catalog:?}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn invalid_servers_are_reported_beside_a_working_one() {
    let text = serde_json::json!({"mcpServers": {
        "unset": {"command": "c", "env": {"TOKEN": "${NOT_SET_ANYWHERE}"}},
        "remote": {"url": "http://127.0.0.1:9/mcp", "headers": {"X-Session": "${session:nothing}"}},
        "lost": {"command": "c", "args": ["${session:nothing}"]},
        "fixture": {"command": example_path("fixture_server")},
    }});
    let config = McpConfig::parse(&text.to_string(), &VarLookup::new(|_| None)).unwrap();
    let session = valetkey_core::SessionContext::builder().build();
    let host = valetkey_mcp::McpHost::builder(&session, config).start().await.unwrap();
    let catalog = host.all_tools().await;
    assert!(catalog.tools.iter().any(|tool| tool.name == "fixture__whoami"));
    let fields: Vec<_> =
        catalog.errors.iter().map(|error| (error.server.as_str(), error.error.field().unwrap())).collect();
    assert_eq!(fields, [("lost", "args"), ("remote", "headers.X-Session"), ("unset", "env.TOKEN")]);
    host.shutdown().await;
}

#[tokio::test]
async fn server_repeated_start_failure_backs_off_with_cause() {
    let fixture = HostFixture::with_builder(
        [("broken", shell_server("echo 'no licence' >&2; exit 1"))],
        with_short_start_timeout,
    )
    .await;
    let mut message = String::new();
    for _ in 0..8 {
        message = fixture.catalog().await.errors[0].error.to_string();
    }
    assert!(message.contains("keeps failing") && message.contains("no licence"), "{message}");
    fixture.host.shutdown().await;
}
