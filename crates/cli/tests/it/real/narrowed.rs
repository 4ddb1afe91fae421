//! Tools under a policy and sub-agents with a handle: the official client and an SDK's server, with AWS enforcing
//! policies.

use serde_json::{Value, json};
use valetkey_rig::{MiniStack, Script, aws_environment};

use super::{program_path, python_script, tenant_settings};
use crate::program_fixture::ProgramFixture;
use crate::serve::mcp_config;

/// Beside those of the tenant.
const SETTINGS: &str = r#"
[servers.buckets.tool_policies]
reader = "reading"
writer = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}'
"#;

/// Returns the results of listing and of writing, which must be the same in all responses.
fn allowed_operations(responses: &Value) -> (&str, &str) {
    let responses = responses.as_array().unwrap();
    let response_field =
        |response: &'_ Value, what: &str| response[what].as_str().unwrap_or("nothing").to_owned();
    for response in responses {
        for what in ["list", "put"] {
            assert_eq!(response_field(response, what), response_field(&responses[0], what), "{responses:?}");
        }
    }
    (responses[0]["list"].as_str().unwrap_or("nothing"), responses[0]["put"].as_str().unwrap_or("nothing"))
}

#[tokio::test]
async fn narrowed_tools_and_sub_agents_have_only_own_access() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let tenant = &seed.tenants[0];
    let buckets = json!({"command": program_path("python"), "args": [python_script("bucket_server.py")],
        "env": {"AWS_ENDPOINT_URL": ministack.url()}});
    let fixture = ProgramFixture::new().file("mcp.json", mcp_config(json!({"buckets": buckets})));
    let fixture = fixture.file("valetkey.toml", tenant_settings(tenant) + SETTINGS);
    let output = Script::new(python_script("narrowed_client.py"))
        .arg(env!("CARGO_BIN_EXE_valetkey"))
        .arg(fixture.path("mcp.json"))
        .arg(fixture.path("valetkey.toml"))
        .arg(&tenant.bucket)
        .envs(aws_environment(&ministack.url()))
        .envs([
            ("AWS_ACCESS_KEY_ID", seed.broker.access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", seed.broker.secret_access_key.as_str()),
        ])
        .run()
        .await
        .unwrap();
    let output: Value = serde_json::from_str(output.trim()).unwrap();

    let (reads, writes) = (("done", "AccessDenied"), ("AccessDenied", "done"));
    for (who, allowed) in [
        ("reader", reads),
        ("writer", writes),
        ("anything", ("done", "done")),
        ("sub reader", reads),
        ("sub writer", writes),
    ] {
        assert_eq!(allowed_operations(&output[who]), allowed, "{who}: {output:#}");
    }
    // The policies of the tool and of the sub-agent have no permission in common.
    assert!(output["both"][0]["refused"].as_str().unwrap().contains("nothing"), "{output:#}");
    let pids: std::collections::BTreeSet<_> = ["reader", "writer", "anything", "sub reader", "sub writer"]
        .iter()
        .map(|who| output[who][0]["pid"].as_u64().unwrap())
        .collect();
    assert_eq!(pids.len(), 5, "each authority has a process of its own: {output:#}");
    assert!(output["closed"]["refused"].as_str().unwrap().contains("ended"), "{output:#}");
    assert_eq!(output["other"]["put"], "done", "the other sub-agent goes on: {output:#}");
    for refused in output["cleared"].as_array().unwrap() {
        assert!(refused["refused"].is_string(), "{output:#}");
    }
    assert_eq!(output["tools"]["buckets__reader"], json!(["aws_account", "bucket", "credential_session"]));
    ministack.stop().await.unwrap();
}
