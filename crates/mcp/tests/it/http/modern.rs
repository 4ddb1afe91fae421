//! Clients from revision 2026-07-28, whose requests are complete in themselves.

use serde_json::{Value, json};

use super::client_fixture::{HttpClientFixture, with_header, without_header};
use super::fixture::{ALICE, HttpGatewayFixture};

#[tokio::test]
async fn modern_call_acts_in_named_session() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.modern(ALICE);
    let (first, second) = (client.create_session().await, client.create_session().await);
    for (handle, name) in [(&first, "AAAA"), (&second, "BBBB")] {
        client.handle = Some(handle.clone());
        client.set(name).await;
    }
    client.handle = Some(first.clone());
    let (key, pid) = client.whoami().await;
    assert_eq!(key, "AAAA");
    client.handle = None;
    let named = json!({"credential_session": second});
    let other = client.call_ok("fixture__whoami", named.clone()).await;
    assert_eq!(other["key"], "BBBB", "named by an argument");
    assert_ne!(other["pid"], pid, "each session has a process of its own");
    let echo = client.call_ok("fixture__echo", named).await;
    assert_eq!(echo["echo"], json!({}), "the server does not get the handle");
    gateway.stop().await;
}

#[tokio::test]
async fn modern_call_without_session_names_remedy() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.modern(ALICE);
    for tool in ["get_aws_credentials_context", "fixture__whoami"] {
        let error = client.call_error(tool, json!({})).await;
        assert!(error.contains("create_credential_session") && error.contains("Valetkey-Session"), "{error}");
    }
    let unknown = client.request("tools/call", json!({"name": "no_such_tool", "arguments": {}})).await;
    assert_eq!(unknown.error(), (200, -32602), "no session has it: {unknown:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn modern_narrowed_session_is_found_by_argument() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.modern(ALICE);
    client.create_session().await;
    client.handle = Some(client.create_session().await);
    client.set("AAAA").await;
    let narrowed = client.call_ok("narrow_aws_credentials", json!({})).await;
    client.handle = None;
    let named = json!({"credential_session": narrowed["credential_session"]});
    assert_eq!(client.call_ok("fixture__whoami", named.clone()).await["key"], "AAAA");
    client.call_ok("close_credential_session", named.clone()).await;
    client.call_error("fixture__whoami", named).await;
    gateway.stop().await;
}

#[tokio::test]
async fn modern_session_list_and_close_by_owner() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    let created = client.call_ok("create_credential_session", json!({"label": "build"})).await;
    let listed = client.call_ok("list_credential_sessions", json!({})).await;
    let expected = json!([{"credential_session": created["credential_session"], "label": "build"}]);
    assert_eq!(listed["sessions"], expected);
    client.call_ok("close_credential_session", created.clone()).await;
    assert_eq!(client.call_ok("list_credential_sessions", json!({})).await["sessions"], json!([]));
    let error = client.call_error("get_aws_credentials_context", created).await;
    assert!(error.contains("no open credential session"), "{error}");
    for arguments in [json!({"lable": "x"}), json!({"label": 1}), json!({"label": "x".repeat(129)})] {
        client.call_error("create_credential_session", arguments).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn modern_result_has_type_and_cache_hints() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    let listed = client.request("tools/list", json!({})).await.json()["result"].take();
    assert_eq!(
        (&listed["resultType"], &listed["cacheScope"], &listed["ttlMs"]),
        (&json!("complete"), &json!("private"), &json!(0))
    );
    let discovered = client.request("server/discover", json!({})).await.json()["result"].take();
    assert!(discovered["supportedVersions"].to_string().contains("2026-07-28"), "{discovered}");
    gateway.stop().await;
}

#[tokio::test]
async fn modern_headers_that_differ_from_body_are_refused() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    let call = client.message("tools/call", json!({"name": "list_credential_sessions", "arguments": {}}));
    let request = |client: &HttpClientFixture| client.request_for(&call);
    assert_eq!(client.send(request(&client)).await.status, 200);
    for name in ["mcp-method", "mcp-name", "mcp-protocol-version"] {
        let missing = client.send(without_header(request(&client), name)).await;
        assert_eq!(missing.error(), (400, -32020), "{name} {missing:?}");
        assert_eq!(missing.json()["id"], call["id"]);
    }
    for (name, value) in
        [("mcp-method", "tools/list"), ("mcp-name", "secret-name"), ("mcp-protocol-version", "2025-11-25")]
    {
        let differs = client.send(with_header(request(&client), name, value)).await;
        assert_eq!(differs.error(), (400, -32020), "{name}");
        assert!(!differs.body.contains("secret-name"), "{differs:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn modern_errors_have_their_status() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    assert_eq!(client.request("no/such/method", json!({})).await.error(), (404, -32601));
    for removed in ["ping", "initialize", "logging/setLevel", "resources/subscribe"] {
        assert_eq!(client.request(removed, json!({})).await.error(), (404, -32601), "{removed}");
    }
    let mut call = client.message("tools/list", json!({}));
    call["params"]["_meta"] = json!({});
    assert_eq!(client.post(&call).await.error(), (400, -32602), "no metadata");
    call["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    assert_eq!(client.post(&call).await.error(), (400, -32602), "no capabilities");
    call = client.message("tools/list", json!({}));
    call["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let unsupported =
        client.send(with_header(client.request_for(&call), "mcp-protocol-version", "2099-01-01")).await;
    assert_eq!(unsupported.error(), (400, -32022));
    let supported: Value = unsupported.json()["error"]["data"]["supported"].take();
    assert!(supported.to_string().contains("2026-07-28"), "{unsupported:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn modern_client_may_only_post() {
    let gateway = HttpGatewayFixture::start().await;
    let client = gateway.modern(ALICE);
    for method in ["GET", "DELETE", "PUT", "OPTIONS"] {
        let request = with_header(client.request_with(method, ""), "mcp-protocol-version", "2026-07-28");
        let reply = client.send(request).await;
        assert_eq!(reply.status, 405, "{method}");
        assert!(reply.header("allow").unwrap().contains("POST"));
    }
    gateway.stop().await;
}
