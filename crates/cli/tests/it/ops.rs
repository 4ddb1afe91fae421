//! The operations listener of `serve`, and `valetkey status`.

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use valetkey_core::testing::Canary;

use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::shutdown::send_signal;

const TOKEN: Option<&str> = Some("token-of-alice");

/// Sends a request to the operations listener of a gateway, and returns the reply with its headers.
pub(crate) async fn get(gateway: &HttpGatewayFixture, path: &str, headers: &str) -> String {
    let address = gateway.ops_address();
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

/// Returns the body of a successful reply.
pub(crate) fn body(reply: &str) -> &str {
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    reply.split_once("\r\n\r\n").unwrap().1
}

/// Waits until the gateway serves: it is announced just before.
pub(crate) async fn until_ready(gateway: &HttpGatewayFixture) {
    while !get(gateway, "/readyz", "").await.starts_with("HTTP/1.1 200") {}
}

async fn start(fixture: &ProgramFixture) -> HttpGatewayFixture {
    HttpGatewayFixture::start(fixture, &["--ops", "127.0.0.1:0"]).await
}

fn fixture() -> ProgramFixture {
    ProgramFixture::new().file("valetkey.toml", PRINCIPALS)
}

#[tokio::test]
async fn ops_listener_reports_sessions_without_secrets() {
    let canary = Canary::new();
    let fixture = fixture().env("VALETKEY_LOG", "trace");
    let gateway = start(&fixture).await;
    assert!(get(&gateway, "/healthz", "").await.ends_with("\r\n\r\nok\n"));
    until_ready(&gateway).await;
    assert!(get(&gateway, "/readyz", "").await.ends_with("\r\n\r\nready\n"));
    let arguments = json!({"label": canary.expose_secret()});
    let (_, created) = gateway.call(TOKEN, "create_credential_session", arguments).await;
    let handle = created["result"]["structuredContent"]["credential_session"].as_str().unwrap().to_owned();
    let set = json!({"credential_session": handle, "credentials_json": canary.to_json().to_string()});
    gateway.call(TOKEN, "set_aws_credentials_context", set).await;
    let mut replies = Vec::new();
    for path in ["/", "/status", "/metrics", "/readyz", &format!("/{}", canary.expose_secret())] {
        replies.push(get(&gateway, path, "").await);
    }
    let table = fixture.run(&["status"]).await;
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let status: Value = serde_json::from_str(body(&replies[1])).unwrap();
    let session = &status["sessions"][0];
    assert_eq!((&session["principal"], &session["accounts"][0]["account"]), (&json!("alice"), &json!("dev")));
    assert_eq!((&status["ready"], &status["recent"][0]["event"]), (&json!(true), &json!("set")));
    let short_id = session["session"].as_str().unwrap()[..8].to_owned();
    assert!(table.stdout.contains(&format!("{short_id}  alice      dev")), "{}", table.stdout);
    assert!(
        body(&replies[2]).contains("valetkey_credential_events_total{event=\"set\",failure=\"\"} 1\n"),
        "{}",
        replies[2]
    );
    let output = gateway.stop_with_output().await;
    replies.extend([table.combined_output(), output.stderr]);
    for reply in &replies {
        assert!(canary.found_in(reply).is_empty() && !reply.contains(&handle), "{reply}");
    }
}

#[tokio::test]
async fn ops_listener_refuses_other_names_and_sites() {
    let fixture = fixture();
    let gateway = start(&fixture).await;
    let own = format!("Host: {}\r\n", gateway.ops_address());
    for headers in [
        "Host: attacker.example\r\n".to_owned(),
        format!("{own}Origin: http://attacker.example\r\n"),
        format!("{own}Sec-Fetch-Site: cross-site\r\n"),
    ] {
        let reply = get(&gateway, "/status", &headers).await;
        assert!(reply.starts_with("HTTP/1.1 403"), "{reply}");
    }
    let page = get(&gateway, "/", "Sec-Fetch-Site: none\r\n").await;
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    // The page loads nothing from elsewhere.
    assert!(!body(&page).contains("http:") && !body(&page).contains("https:"), "{page}");
    gateway.stop().await;
}

#[tokio::test]
async fn ops_token_is_required_for_other_machines() {
    let exposed = fixture().run(&["serve", "--http", "127.0.0.1:0", "--ops", "0.0.0.0:0"]).await;
    assert_eq!(exposed.code, Some(78), "{}", exposed.stderr);
    assert!(exposed.stderr.contains("set `token_sha256`"), "{}", exposed.stderr);
    let digest = "19c28a50b1a09097592e7ceddb7e0771ff4d469747541a7536579eef857e05ce";
    let settings = format!("{PRINCIPALS}[ops]\ntoken_sha256 = ['{digest}']\n");
    let fixture = ProgramFixture::new().file("valetkey.toml", settings);
    let gateway = start(&fixture).await;
    for (path, headers, status) in [
        ("/status", "", "401"),
        ("/metrics", "Authorization: Bearer token-of-bob\r\n", "401"),
        ("/status", "Authorization: Bearer token-of-alice\r\n", "200"),
        ("/healthz", "", "200"),
    ] {
        let reply = get(&gateway, path, headers).await;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{path} {headers}: {reply}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn ops_settings_that_are_invalid_are_reported() {
    let settings = "[ops]\nlisten = 'localhost'\ntoken_sha256 = ['canary']\n";
    let output = ProgramFixture::new().file("valetkey.toml", settings).run(&["check"]).await;
    assert_eq!(output.code, Some(78), "{}", output.stderr);
    assert!(
        output.stderr.contains("valetkey.toml:2: [ops] `listen` must be an address"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("valetkey.toml:3: [ops] `token_sha256` must be"), "{}", output.stderr);
    assert!(!output.stderr.contains("canary"), "{}", output.stderr);
}

fn sockets(fixture: &ProgramFixture) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(fixture.runtime_dir().join("valetkey")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn status_of_killed_gateway_is_left_out() {
    let fixture = fixture();
    let (killed, gateway) = (start(&fixture).await, start(&fixture).await);
    assert_eq!(sockets(&fixture).len(), 2);
    let pid = Pid::from_raw(i32::try_from(killed.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    killed.wait().await;
    let output = fixture.run(&["status", "--json"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let status: Value = serde_json::from_str(&output.stdout).unwrap();
    let gateways = status["gateways"].as_array().unwrap();
    assert_eq!((gateways.len(), &gateways[0]["pid"]), (1, &json!(gateway.pid())));
    // The stale socket was removed, and a gateway that stops removes its own.
    assert_eq!(sockets(&fixture).len(), 1);
    gateway.stop().await;
    assert_eq!(sockets(&fixture), Vec::<PathBuf>::new());
    let none = fixture.run(&["status"]).await;
    assert_eq!((none.code, none.stderr.as_str()), (Some(1), ""));
    assert!(none.stdout.contains("no gateway of this user is running"), "{}", none.stdout);
}

#[tokio::test]
async fn status_folder_of_others_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = fixture();
    let folder = fixture.runtime_dir().join("valetkey");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let status = fixture.run(&["status"]).await;
    assert_eq!(status.code, Some(1), "{}", status.stdout);
    assert!(status.stderr.contains("not a folder that only this user can enter"), "{}", status.stderr);
    let gateway = start(&fixture).await;
    let output = gateway.stop_with_output().await;
    assert!(output.stderr.contains("`valetkey status` does not find this gateway"), "{}", output.stderr);
    assert_eq!(sockets(&fixture), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn status_watch_shows_changes_until_signal() {
    let fixture = fixture();
    let gateway = start(&fixture).await;
    let mut watch = fixture.start(&["status", "--watch", "--json"]);
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut sessions = async || {
        let line = lines.next_line().await.unwrap().unwrap();
        let status: Value = serde_json::from_str(&line).unwrap();
        status["gateways"][0]["sessions"].as_array().unwrap().len()
    };
    assert_eq!(sessions().await, 0);
    let (_, created) = gateway.call(TOKEN, "create_credential_session", json!({})).await;
    assert!(created["result"]["structuredContent"]["credential_session"].is_string(), "{created}");
    while sessions().await == 0 {}
    send_signal(Signal::INT, watch.id().unwrap());
    let output = ProgramFixture::wait_for_output(watch).await;
    assert_eq!((output.code, output.stderr.as_str()), (None, ""), "a signal ends it");
    gateway.stop().await;
}

#[tokio::test]
async fn status_watch_as_text_follows_gateways() {
    let fixture = fixture();
    let mut watch = fixture.start(&["status", "--watch"]);
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let none = lines.next_line().await.unwrap().unwrap();
    assert!(none.contains("no gateway of this user is running"), "{none}");
    let gateway = start(&fixture).await;
    let row = format!("{} ", gateway.pid());
    while !lines.next_line().await.unwrap().unwrap().starts_with(&row) {}
    send_signal(Signal::TERM, watch.id().unwrap());
    assert_eq!(watch.wait().await.unwrap().code(), None);
    gateway.stop().await;
}
