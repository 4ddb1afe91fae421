//! Tool names that clients accept, each for one tool.

use serde_json::json;
use tokio_util::sync::CancellationToken;
use valetkey_mcp::child::Delivery;

use crate::host_fixture::{HostFixture, fixture_server, raw_server};

#[tokio::test]
async fn tool_name_too_long_is_truncated_and_callable() {
    let fixture = HostFixture::without_credentials([("raw", raw_server("pages"))]).await;
    fixture.set("AAAA");
    let catalog = fixture.catalog().await;
    let fits = |name: &str| {
        name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    for tool in &catalog.tools {
        assert!(fits(&tool.name), "{}", tool.name);
        let result = fixture.call_raw(&tool.name, json!({})).await;
        assert_eq!(result["structuredContent"]["echo"]["name"], tool.tool.as_str());
    }
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn tool_name_collision_renames_both_tools() {
    let mut first = raw_server("fields");
    first.args.push("b__tool".to_owned());
    let fixture = HostFixture::without_credentials([("a", first), ("a__b", raw_server("fields"))]).await;
    fixture.set("AAAA");
    let catalog = fixture.catalog().await;
    let owners: Vec<_> = catalog.errors.iter().map(|error| error.server.as_str()).collect();
    assert_eq!(owners, ["a", "a__b"]);
    for tool in &catalog.tools {
        assert_ne!(tool.name, "a__b__tool");
        let result = fixture.call_raw(&tool.name, json!({})).await;
        assert_eq!(result["structuredContent"]["echo"]["name"], tool.tool.as_str());
    }
    assert!(fixture.host.call("a__b__tool", None, &CancellationToken::new()).await.is_none());
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn tool_name_of_servers_sanitized_alike_is_distinct() {
    let servers = [("s b", fixture_server(Delivery::Endpoint)), ("s.b", fixture_server(Delivery::Endpoint))];
    let fixture = HostFixture::without_credentials(servers).await;
    fixture.set("AAAA");
    let catalog = fixture.catalog().await;
    assert!(catalog.errors.is_empty(), "odd names carry a mark and do not collide: {:?}", catalog.errors);
    let mut names: Vec<_> = catalog.tools.iter().map(|tool| &tool.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), catalog.tools.len());
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn list_order_is_stable() {
    let servers = [
        ("b", fixture_server(Delivery::Endpoint)),
        ("a", fixture_server(Delivery::Env)),
        ("c", raw_server("fields")),
    ];
    let fixture = HostFixture::without_credentials(servers).await;
    let names =
        async || fixture.catalog().await.tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>();
    let before = names().await;
    assert!(before[0].starts_with("a__") && before.last().unwrap().starts_with("c__"), "{before:?}");
    fixture.set("AAAA");
    assert_eq!(names().await, before);
    fixture.session.clear();
    assert_eq!(names().await, before);
    fixture.host.shutdown().await;
}
