//! A server on the Rust SDK that reuses its client acts in the new account of the session at the first call after a
//! switch.

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::{Value, json};
use valetkey_local_aws::{LocalAws, RoleSpec, UserSpec};

use super::client_fixture::{ERAS, McpClientFixture};
use super::{CALLER_IDENTITY_TOOL, demo_server_entry, mcp_config};
use crate::program_fixture::ProgramFixture;

const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];

/// Returns temporary credentials of a role in the account, in the form that a tool accepts.
async fn assume_role(aws: &LocalAws, account: &str) -> Value {
    let platform = Credentials::new("AKIA_PLATFORM", "secret_platform", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(aws.endpoint_url())
        .credentials_provider(SharedCredentialsProvider::new(platform))
        .load()
        .await;
    let role = format!("arn:aws:iam::{account}:role/agent");
    let assumed = aws_sdk_sts::Client::new(&config).assume_role().role_arn(role).role_session_name("s-1");
    let issued = assumed.send().await.unwrap().credentials.unwrap();
    json!({
        "access_key_id": issued.access_key_id,
        "secret_access_key": issued.secret_access_key,
        "session_token": issued.session_token,
        "region": "us-east-1",
    })
}

#[tokio::test]
async fn switch_account_of_caching_rust_client_is_immediate() {
    let role = |account| RoleSpec::new(&format!("arn:aws:iam::{account}:role/agent")).trusts("999999999999");
    let aws = LocalAws::builder()
        .user(UserSpec::new("999999999999", "platform", "AKIA_PLATFORM", "secret_platform"))
        .role(role(ACCOUNTS[0]))
        .role(role(ACCOUNTS[1]))
        .start()
        .await
        .unwrap();
    let mut server = demo_server_entry(&aws.endpoint_url());
    server["args"] = json!(["demo-server", "--keep-client"]);
    let fixture = ProgramFixture::new().file("mcp.json", mcp_config(json!({"aws": server})));
    let mut client = McpClientFixture::connect(&fixture, ERAS[0]).await;
    for account in ACCOUNTS.into_iter().cycle().take(6) {
        let credentials = assume_role(&aws, account).await;
        client.set_credentials(credentials).await;
        for _ in 0..3 {
            let result = client.call(CALLER_IDENTITY_TOOL, json!({})).await;
            assert_eq!(result["structuredContent"]["account"], account, "{result}");
        }
    }
    assert_eq!(client.close().await.code, Some(0));
    aws.stop().await.unwrap();
}
