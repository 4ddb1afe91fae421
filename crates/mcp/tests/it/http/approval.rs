//! Requests for access over HTTP: sessions have a floor, and a person decides in the client or as the operator.

use std::time::Duration;

use serde_json::{Value, json};
use valetkey_core::audit::DecisionChannel;
use valetkey_core::{AccessScope, Result, SessionContext};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::http::{NewSession, SessionFactory, VerifiedCaller};
use valetkey_mcp::{AccessRequests, McpHost, McpHostBuilder};
use valetkey_tools::{RequestableAccess, ToolSet};

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, BOB, HttpGatewayFixture, LIST_BUDGET, tokens};
use crate::host_fixture::{fixture_server, host_environment, mcp_config};
use crate::role_fixture::{RoleProviderFixture, read_policy, write_policy};

const TOOL: &str = "request_aws_access";

/// Sessions that may read, and whose models may request to write.
struct FloorFactory;

impl FloorFactory {
    fn tools(session: &SessionContext, floor: SessionContext) -> ToolSet {
        let write = RequestableAccess::new(Duration::from_secs(900)).policy(write_policy());
        ToolSet::builder(floor).requestable(session.clone(), [("write".to_owned(), write)]).build()
    }
}

impl SessionFactory for FloorFactory {
    fn new_session(&self, _: &VerifiedCaller) -> Result<NewSession> {
        let builder = SessionContext::builder().provider(RoleProviderFixture::new('x'));
        Ok(NewSession::new(builder, |session| {
            Ok(Self::tools(session, session.narrow(AccessScope::new().policy(read_policy()))?))
        }))
    }

    fn host(&self, session: &SessionContext) -> Option<McpHostBuilder> {
        let config = mcp_config([("fixture", fixture_server(Delivery::Endpoint))]);
        Some(McpHost::builder(session, config).environment(host_environment()).list_budget(LIST_BUDGET))
    }

    fn catalog_tools(&self, session: &SessionContext) -> ToolSet {
        Self::tools(session, session.clone())
    }
}

async fn start() -> (HttpGatewayFixture, AccessRequests) {
    let requests = AccessRequests::new();
    let listed = requests.clone();
    let gateway =
        HttpGatewayFixture::start_sessions(FloorFactory, tokens(), |gateway| gateway.access_requests(listed));
    (gateway.await, requests)
}

/// Returns a client of each era, without forms.
async fn clients(gateway: &HttpGatewayFixture) -> [HttpClientFixture; 2] {
    let legacy = gateway.legacy(ALICE).await;
    let mut modern = gateway.modern(ALICE);
    modern.handle = Some(modern.create_session().await);
    [legacy, modern]
}

fn call_params() -> Value {
    json!({"name": TOOL, "arguments": {"access": "write", "reason": "to deploy"}})
}

/// Waits for a request in the list, and returns its id.
async fn waiting_id(requests: &AccessRequests) -> String {
    crate::process::wait_until("a request waits", || !requests.list().is_empty()).await;
    requests.list()[0].id.clone()
}

/// Returns the permissions with which a server is called: `R` for reading, `W` for writing.
async fn access_letter(client: &mut HttpClientFixture, handle: Option<&Value>) -> String {
    let arguments = handle.map_or_else(|| json!({}), |handle| json!({"credential_session": handle}));
    let called = client.call_ok("fixture__whoami", arguments).await;
    called["key"].as_str().unwrap_or_else(|| panic!("{called}"))[..1].to_owned()
}

#[tokio::test]
async fn http_approval_by_operator_acts_by_handle() {
    let (gateway, requests) = start().await;
    for mut client in clients(&gateway).await {
        let listed = client.request("tools/list", json!({})).await.json();
        assert!(listed.to_string().contains(TOOL), "{listed}");
        assert_eq!(access_letter(&mut client, None).await, "R", "servers have the floor");
        let request = client.message("tools/call", call_params());
        let caller = client.clone();
        let call = tokio::spawn(async move { caller.post(&request).await.json() });
        let id = waiting_id(&requests).await;
        let described = requests.approve(&id, DecisionChannel::Terminal).unwrap();
        assert_eq!(described.principal, Some("alice".parse().unwrap()));
        let granted = call.await.unwrap();
        let handle = &granted["result"]["structuredContent"]["credential_session"];
        assert!(handle.is_string(), "{granted}");
        assert_eq!(access_letter(&mut client, Some(handle)).await, "W");
        assert_eq!(access_letter(&mut client, None).await, "R");
        // A caller of another principal cannot use the grant.
        let mut other = gateway.modern(BOB);
        let stolen = json!({"credential_session": handle});
        assert!(!other.call_error("fixture__whoami", stolen).await.is_empty());
        assert!(requests.list().is_empty());
    }
    gateway.stop().await;
}

#[tokio::test]
async fn http_approval_in_form_of_modern_client_is_resumed() {
    let (gateway, requests) = start().await;
    let mut client = gateway.modern(ALICE);
    client.handle = Some(client.create_session().await);
    client.capabilities = json!({"elicitation": {}});
    let required = client.request("tools/call", call_params()).await.json()["result"].take();
    assert_eq!(required["resultType"], "input_required", "{required}");
    assert_eq!(requests.list().len(), 1, "the operator can decide, too");
    let name = required["inputRequests"].as_object().unwrap().keys().next().unwrap();
    let mut params = call_params();
    params["requestState"] = required["requestState"].clone();
    params["inputResponses"] = json!({name: {"action": "accept", "content": {"grant": true}}});
    let granted = client.request("tools/call", params).await.json()["result"].take();
    let handle = granted["structuredContent"]["credential_session"].clone();
    assert_eq!(access_letter(&mut client, Some(&handle)).await, "W", "{granted}");
    assert!(requests.list().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn http_approval_ends_with_its_session() {
    let (gateway, requests) = start().await;
    let mut client = gateway.modern(ALICE);
    client.handle = Some(client.create_session().await);
    let request = client.message("tools/call", call_params());
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.post(&request).await.json() });
    let id = waiting_id(&requests).await;
    let handle = client.handle.clone();
    client.call_ok("close_credential_session", json!({"credential_session": handle})).await;
    let refused = call.await.unwrap();
    assert_eq!(refused["result"]["structuredContent"]["error"]["code"], "closed", "{refused}");
    assert!(requests.approve(&id, DecisionChannel::Terminal).is_err() && requests.list().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn http_session_whose_floor_was_cleared_has_ended() {
    let (gateway, _requests) = start().await;
    let [mut legacy, mut modern] = clients(&gateway).await;
    for client in [&mut legacy, &mut modern] {
        assert_eq!(access_letter(client, None).await, "R");
        client.call_ok("clear_credential_context", json!({})).await;
    }
    let refused = modern.call_error("list_aws_accounts", json!({})).await;
    assert!(refused.contains("no open credential session"), "{refused}");
    // A client without a handle gets another session, with the floor.
    let refused = legacy.call_error("list_aws_accounts", json!({})).await;
    assert!(refused.contains("opens a new one"), "{refused}");
    assert_eq!(access_letter(&mut legacy, None).await, "R");
    gateway.stop().await;
}
