//! The resolver that calls a tool of a server, which is hidden from the model.

use serde_json::{Value, json};
use valetkey_core::{CredentialResolver, Error, ErrorKind, SessionContext};
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::{McpConfig, McpHost, McpToolResolver};

use crate::canary::captured_logs;
use crate::gateway::client_fixture::{ERAS, GatewayClientFixture};
use crate::host_fixture::{host_environment, mcp_config, raw_server};
use crate::process::{running_children, wait_until};

const SECRET: &str = "mintedSecret0123456789+/ABCDEFGHIJabcdef";
const TOOL: &str = "get_aws_credential";

/// A server whose only tool creates keys. It is given no credentials.
fn platform() -> ServerConfig {
    let mut server = raw_server("minting");
    server.args.push(TOOL.to_owned());
    server.delivery = valetkey_mcp::child::Delivery::None;
    server
}

fn resolver_for(config: McpConfig) -> McpToolResolver {
    let session = SessionContext::builder().build();
    McpToolResolver::new("platform", TOOL, move || {
        McpHost::builder(&session, config.clone()).environment(host_environment())
    })
    .argument("credential_id")
}

fn resolver() -> McpToolResolver {
    let resolver = resolver_for(mcp_config([("platform", platform())])).credentials_pointer("/spec").unwrap();
    resolver.id_pointer("/id").unwrap().region_pointer("/place/region").unwrap()
}

async fn resolve_error(resolver: &McpToolResolver, id: &str) -> Error {
    let error = resolver.resolve(&id.parse().unwrap()).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("minted"), "{error:?}");
    error
}

#[tokio::test]
async fn resolver_result_of_tool_becomes_credentials() {
    let credentials = resolver().resolve(&"cred-1".parse().unwrap()).await.unwrap();
    assert_eq!(credentials.access_key_id().last_four(), "MINT");
    assert_eq!(credentials.expose_secret_access_key(), SECRET);
    assert_eq!(credentials.region().map(|region| region.as_str()), Some("eu-west-3"));
}

#[tokio::test]
async fn resolver_refused_id_is_denied_without_text_of_server() {
    let resolver = resolver();
    for id in ["unknown", "cred-mixed-up"] {
        assert_eq!(resolve_error(&resolver, id).await.kind(), ErrorKind::Denied, "{id}");
    }
}

#[tokio::test]
async fn resolver_without_usable_result_is_error() {
    let config = mcp_config([("platform", platform())]);
    let elsewhere = resolver_for(config.clone()).credentials_pointer("/nowhere").unwrap();
    assert_eq!(resolve_error(&elsewhere, "cred-1").await.kind(), ErrorKind::Invalid);
    let absent = resolver_for(McpConfig::default());
    assert_eq!(resolve_error(&absent, "cred-1").await.kind(), ErrorKind::NotConfigured);
    let mut broken = platform();
    broken.command = "/nowhere/at-all".to_owned();
    let broken = resolver_for(mcp_config([("platform", broken)]));
    assert!(resolve_error(&broken, "cred-1").await.next_step().is_some());
    assert_eq!(resolver_for(config).id_pointer("id").unwrap_err().field(), Some("id"));
}

#[tokio::test]
async fn resolver_cleared_ends_its_server_and_starts_it_again() {
    let mut marked = platform();
    marked.args.push("of-the-cleared-resolver".to_owned());
    let is_running = || {
        let command = |pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        running_children().into_iter().any(|pid| command(pid).contains("of-the-cleared-resolver"))
    };
    let resolver = resolver_for(mcp_config([("platform", marked)])).credentials_pointer("/spec").unwrap();
    let id = "cred-1".parse().unwrap();
    for _ in 0..2 {
        resolver.resolve(&id).await.unwrap();
        assert!(is_running());
        resolver.clear_cache();
        wait_until("the server has ended", || !is_running()).await;
    }
}

#[tokio::test]
async fn canary_resolved_keys_reach_session_and_no_output() {
    let logs = captured_logs();
    for era in ERAS {
        let mut config = mcp_config([("platform", platform())]);
        let resolver = resolver();
        resolver.hide_tool(&mut config);
        let session = SessionContext::builder().resolver(resolver).build();
        let hidden = config.servers.remove("platform").unwrap();
        let mut client = GatewayClientFixture::serve(era, session, [("platform", hidden)]).await;
        let name = format!("platform__{TOOL}");
        assert!(!client.list_tool_names().await.contains(&name));
        let refused =
            client.request("tools/call", json!({"name": name, "arguments": {"credential_id": "cred-1"}}));
        assert!(refused.await["error"].is_object(), "an unknown tool");
        for (id, fails) in [("cred-1", false), ("unknown", true), ("cred-mixed-up", true)] {
            let job = json!({"spec": {"provider_credential_id": id}});
            let set =
                client.call("extract_and_set_credentials_from_stack_job", json!({"stack_job_json": job}));
            let set: Value = set.await;
            assert_eq!(set["isError"] == true, fails, "{set}");
        }
        let current = client.session.credentials().await.unwrap();
        assert_eq!(current.expose_secret_access_key(), SECRET);
        for shown in [&client.received, &logs.text(), &format!("{:?}", client.session)] {
            assert!(!shown.contains(&SECRET[..16]), "{shown}");
        }
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn canary_minted_keys_are_masked_in_every_output() {
    let logs = captured_logs();
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, [("platform", platform())]).await;
        let result = client.call(&format!("platform__{TOOL}"), json!({"credential_id": "cred-1"})).await;
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("ASIA000000000000MINT") && text.contains("[redacted]"), "{text}");
        for shown in [&client.received, &logs.text()] {
            assert!(!shown.contains(&SECRET[..16]), "{shown}");
        }
        client.close().await.unwrap();
    }
}
