//! The status page, as a person sees and operates it in a browser.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use valetkey::{Clock, Expiry, SystemClock};
use valetkey_core::testing::Canary;
use valetkey_rig::{Script, chromium, target_dir};

use super::node_script;
use crate::aws_fixture::AwsFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::{CALLER_IDENTITY_TOOL, fixture_with_server};

/// WCAG 2.2 requires this contrast of text.
const MIN_CONTRAST: f64 = 4.5;

/// Opens the status page, and returns what the browser shows.
async fn read_page(gateway: &HttpGatewayFixture, screenshots: &Path) -> Value {
    read_page_at(&format!("http://{}/", gateway.ops_address()), screenshots).await
}

async fn read_page_at(url: &str, screenshots: &Path) -> Value {
    let script =
        Script::node(node_script("status_page.mjs")).arg(chromium().unwrap()).arg(url).arg(screenshots);
    serde_json::from_str(&script.run().await.unwrap()).unwrap()
}

/// Opens a session with these credentials and a running server. Returns its handle.
async fn open_session(gateway: &HttpGatewayFixture, token: &str, credentials: Value) -> String {
    let (_, created) = gateway.call(Some(token), "create_credential_session", json!({})).await;
    let session = created["result"]["structuredContent"].clone();
    let mut set = session.clone();
    set["credentials_json"] = credentials;
    gateway.call(Some(token), "set_aws_credentials_context", set).await;
    let (_, called) = gateway.call(Some(token), CALLER_IDENTITY_TOOL, session.clone()).await;
    assert!(called.to_string().contains("arn:aws:iam::111111111111"), "{called}");
    session["credential_session"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn status_page_shows_sessions_and_servers_without_secrets() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url()).file("valetkey.toml", PRINCIPALS);
    let gateway =
        HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json", "--ops", "127.0.0.1:0"]).await;
    let canary = Canary::new();
    let mut credentials = canary.to_json();
    credentials["expiration"] =
        json!(Expiry::At(SystemClock.now() + Duration::from_secs(55 * 60)).to_string());
    let handle = open_session(&gateway, "token-of-alice", credentials).await;
    let of_bob = json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "made-up"});
    open_session(&gateway, "token-of-bob", of_bob).await;
    assert!(!canary.found_in(&aws.received_credentials()).is_empty(), "the gateway has the credentials");
    let screenshots = target_dir().join("status-page");
    let page = read_page(&gateway, &screenshots).await;

    assert_eq!(page["state"], "ready", "{page:#}");
    let (session, server) = (&page["sessions"][0], &page["servers"][0]);
    assert_eq!((&session[1], &session[2]), (&json!("alice"), &json!("dev")), "{page:#}");
    let expiry = session[6].as_str().unwrap();
    assert!(expiry.starts_with("in 5") && expiry.ends_with(" min"), "{page:#}");
    assert_eq!(
        (&page["sessions"][1][1], &page["sessions"][1][6]),
        (&json!("bob"), &json!("never")),
        "{page:#}"
    );
    assert_eq!((&server[0], &server[1]), (&session[0], &json!("aws")), "{page:#}");
    let events = page["recent"].as_array().unwrap();
    assert!(events.iter().any(|record| record[1] == "set" && record[2] == session[0]), "{page:#}");

    let shown = page["page"].as_str().unwrap();
    assert!(shown.contains("alice"), "{shown}");
    assert!(canary.found_in(shown).is_empty() && !shown.contains(&handle), "{shown}");
    // Neither the page nor what it causes leaves the listener.
    let own = format!("http://{}/", gateway.ops_address());
    let requested = page["requested"].as_array().unwrap();
    let is_own = |url: &Value| url == own.as_str() || *url == format!("{own}status");
    assert!(requested.len() > 1 && requested.iter().all(is_own), "{requested:?}");
    assert_eq!((&page["errors"], &page["unnamed"]), (&json!([]), &json!(0)));

    let scheme = |name: &str, field: &str| page["schemes"][name][field].as_f64().unwrap();
    for name in ["light", "dark"] {
        assert!(scheme(name, "lowest") >= MIN_CONTRAST, "{name}: {}", page["schemes"]);
        let screenshot = std::fs::read(screenshots.join(format!("{name}.png"))).unwrap();
        assert!(screenshot.starts_with(b"\x89PNG") && screenshot.len() > 10_000, "{}", screenshot.len());
    }
    assert!(scheme("light", "background") > 0.9 && scheme("dark", "background") < 0.1, "{}", page["schemes"]);

    let focused = ["pause", "sessions-title", "servers-title", "recent-title"].map(|id| json!([id, true]));
    assert_eq!(page["focused"], json!(focused), "each region is reached, and shows its focus");
    let pressed = (&page["paused"], &page["resumed"]);
    assert_eq!(pressed, (&json!(["Resume", "true"]), &json!(["Pause", "false"])));
    gateway.stop().await;
}

const ACCESS: &str = "
[scopes.look]
[scopes.deploy]
lifetime_seconds = 900
[access]
floor = 'look'
requests = ['deploy']
";

/// Requests access for a session, and returns the handle of the grant.
async fn request_access(gateway: &HttpGatewayFixture, session: &Value) -> Value {
    let mut arguments = session.clone();
    arguments["access"] = json!("deploy");
    arguments["reason"] = json!("<img src=x onerror=alert(1)>");
    // A call of more than a second has a stream of events as its response.
    let (_, response) = gateway.call(Some("token-of-alice"), "request_aws_access", arguments).await;
    let events = response.as_str().unwrap_or_else(|| panic!("{response}"));
    let data = events.lines().rev().find_map(|line| line.split_once("data: ")).unwrap().1;
    let response: Value = serde_json::from_str(data).unwrap();
    response["result"]["structuredContent"]["credential_session"].clone()
}

#[tokio::test]
async fn status_page_with_code_approves_access() {
    let aws = AwsFixture::start().await;
    // The floor takes no credentials from a tool.
    let principals = PRINCIPALS.replacen("provider = 'memory'", "provider = 'environment'", 1);
    let fixture = fixture_with_server(aws.url())
        .file("valetkey.toml", principals + ACCESS)
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "made-up");
    let gateway =
        HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json", "--ops", "127.0.0.1:0"]).await;
    let (_, created) = gateway.call(Some("token-of-alice"), "create_credential_session", json!({})).await;
    let session = created["result"]["structuredContent"].clone();
    // Starts the server.
    let (_, called) = gateway.call(Some("token-of-alice"), CALLER_IDENTITY_TOOL, session.clone()).await;
    assert!(called.to_string().contains("arn:aws:iam::111111111111"), "{called}");
    let screenshots = target_dir().join("status-page").join("access");
    let (granted, page) = tokio::join!(request_access(&gateway, &session), async {
        while !fixture.run(&["access", "list"]).await.stdout.starts_with("request ") {}
        // Without the code, the page shows the request and the commands.
        let without = read_page(&gateway, &screenshots).await;
        assert_eq!((&without["access"]["buttons"], &without["errors"]), (&json!([]), &json!([])));
        let waiting = without["access"]["waiting"][0].as_str().unwrap();
        assert!(waiting.contains("valetkey access approve"), "{without:#}");
        assert!(without["access"]["how"].as_str().unwrap().contains("valetkey access page"), "{without:#}");
        let url = fixture.run(&["access", "page"]).await.stdout;
        let (_, code) = url.trim().split_once('#').unwrap();
        let page = read_page_at(url.trim(), &screenshots).await;
        assert!(
            !page["page"].as_str().unwrap().contains(code) && !page["requested"].to_string().contains(code)
        );
        page
    });
    let access = &page["access"];
    assert!(granted.is_string(), "{access:#}");
    let waiting = access["waiting"][0].as_str().unwrap();
    assert!(waiting.contains("deploy") && waiting.contains("<img src=x onerror=alert(1)>"), "{waiting}");
    assert!(!waiting.contains("valetkey access approve"), "{waiting}");
    assert_eq!((&access["buttons"][0][0], &access["buttons"][1][0]), (&json!("Approve"), &json!("Deny")));
    assert_eq!((&access["outcome"], &page["errors"]), (&json!("deploy was approved"), &json!([])));
    assert_eq!(access["address"], format!("http://{}/", gateway.ops_address()), "the code is removed");
    for name in ["light", "dark"] {
        let lowest = page["schemes"][name]["lowest"].as_f64().unwrap();
        assert!(lowest >= MIN_CONTRAST, "{name}: {}", page["schemes"]);
    }
    gateway.stop().await;
}

const SIGN_IN: &str = "\
[profile ended]
sso_session = work
sso_account_id = 111111111111
sso_role_name = agent
[sso-session work]
sso_region = us-east-1
sso_start_url = https://example.com
";

#[tokio::test]
async fn status_page_with_code_confirms_sign_in() {
    let aws = AwsFixture::start().await;
    let principals = PRINCIPALS.replacen("provider = 'memory'", "provider = 'environment'", 1).replacen(
        "accounts = ['dev']",
        "accounts = ['dev', 'expired']",
        1,
    );
    let settings = format!("{principals}[accounts.expired]\nprovider = 'profile'\nname = 'ended'\n");
    let fixture = fixture_with_server(aws.url()).file("valetkey.toml", settings).file("aws-config", SIGN_IN);
    let config = fixture.path("aws-config");
    let fixture = fixture
        .env("AWS_CONFIG_FILE", config)
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "made-up");
    let gateway =
        HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json", "--ops", "127.0.0.1:0"]).await;
    let token = Some("token-of-alice");
    let (_, created) = gateway.call(token, "create_credential_session", json!({})).await;
    let session = created["result"]["structuredContent"].clone();
    // Starts the server.
    gateway.call(token, CALLER_IDENTITY_TOOL, session.clone()).await;
    let mut arguments = session.clone();
    arguments["account"] = json!("expired");
    let screenshots = target_dir().join("status-page").join("sign-in");
    let ((_, failed), page) =
        tokio::join!(gateway.call(token, "refresh_aws_credentials", arguments), async {
            while !fixture.run(&["access", "list"]).await.stdout.starts_with("request ") {}
            let url = fixture.run(&["access", "page"]).await.stdout;
            read_page_at(url.trim(), &screenshots).await
        });
    // The person states the sign-in, and has not made it.
    assert!(failed.to_string().contains("interaction_required"), "{failed}");
    let access = &page["access"];
    let waiting = access["waiting"][0].as_str().unwrap_or_else(|| panic!("{page:#}"));
    assert!(waiting.contains("aws sso login --profile ended"), "{waiting}");
    assert_eq!(access["outcome"], "sign-in for expired was approved", "{access:#}");
    assert_eq!(page["errors"], json!([]));
    gateway.stop().await;
}
