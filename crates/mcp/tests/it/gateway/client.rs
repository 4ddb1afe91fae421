//! A real MCP client lists and calls tools, in both protocol eras.

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use valetkey_core::SessionContext;
use valetkey_mcp::child::Delivery;

use super::client_fixture::gateway_for_session;
use crate::host_fixture::fixture_server;
use crate::keys::keys;

#[tokio::test]
async fn rmcp_client_of_either_era_lists_and_calls() {
    for lifecycle in [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
    ] {
        let session = SessionContext::builder().build();
        session.set_credentials(keys("AAAA")).unwrap();
        let gateway = gateway_for_session(&session, [("fixture", fixture_server(Delivery::Endpoint))]).await;
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(far);
        let serving = tokio::spawn(gateway.serve(input, output, CancellationToken::new()));
        let client = ().serve_with_lifecycle(near, lifecycle).await.unwrap();

        let tools = client.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), 16);
        let arguments = json!({"a": 1}).as_object().cloned().unwrap();
        let call = CallToolRequestParams::new("fixture__echo").with_arguments(arguments);
        let result = client.call_tool(call).await.unwrap();
        assert_eq!(result.structured_content, Some(json!({"echo": {"a": 1}})));
        let result = client.call_tool(CallToolRequestParams::new("fixture__whoami")).await.unwrap();
        assert_eq!(result.structured_content.unwrap()["key"], "AAAA");
        assert!(client.call_tool(CallToolRequestParams::new("nothing")).await.is_err());

        client.cancel().await.unwrap();
        serving.await.unwrap().unwrap();
        assert!(session.is_closed());
    }
}
