//! `valetkey access`, and decisions on the status page: an operator decides about requests for access.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use valetkey_core::testing::Canary;

use crate::ops::{body, get, until_ready};
use crate::program_fixture::{CONTROL_CHARACTERS, ProgramFixture};
use crate::serve::client_fixture::{ERAS, McpClientFixture};
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};

const TOOL: &str = "request_aws_access";
const TOKEN: Option<&str> = Some("token-of-alice");
/// Beside the principals.
const ACCESS: &str = "
[scopes.look]
[scopes.deploy]
lifetime_seconds = 900
[scopes.production]
accounts = ['prod']
lifetime_seconds = 900
[access]
floor = 'look'
requests = ['deploy', 'production']
[audit]
file = 'audit.jsonl'
";
const APPROVE: &str = r#"{"decision": "approve"}"#;

fn fixture(more: &str) -> ProgramFixture {
    ProgramFixture::new().file("valetkey.toml", format!("{PRINCIPALS}{ACCESS}{more}"))
}

/// A gateway over HTTP, and a session of its client.
struct RequestFixture {
    program: ProgramFixture,
    gateway: HttpGatewayFixture,
    session: Value,
}

impl RequestFixture {
    async fn start(more: &str) -> Self {
        let program = fixture(more);
        let gateway = HttpGatewayFixture::start(&program, &["--ops", "127.0.0.1:0"]).await;
        let (_, created) = gateway.call(TOKEN, "create_credential_session", json!({})).await;
        let session = created["result"]["structuredContent"]["credential_session"].clone();
        assert!(session.is_string(), "{created}");
        Self { program, gateway, session }
    }

    /// Requests access as a model does, and returns the result.
    async fn request(&self, access: &str, reason: &str) -> Value {
        // The argument selects the session, and is not passed on to the tool.
        let arguments = json!({"access": access, "reason": reason, "credential_session": self.session});
        let (_, mut response) = self.gateway.call(TOKEN, TOOL, arguments).await;
        if let Some(event) = response.as_str() {
            // A response that took longer than a second is a stream of events.
            let data = event.lines().rev().find_map(|line| line.split_once("data: ")).unwrap().1;
            response = serde_json::from_str(data).unwrap();
        }
        response["result"].take()
    }

    /// Waits for a request of a model, and returns it as `valetkey access list` does.
    async fn waiting(&self) -> Value {
        waiting(&self.program).await
    }

    /// Returns the events of requests in the audit log, with who has decided.
    fn events(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(self.program.path("audit.jsonl")).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_access = records.filter(|record| record["event"].as_str().unwrap().ends_with("_access"));
        of_access
            .map(|record| (record["event"].as_str().unwrap().to_owned(), record["decided_by"].clone()))
            .collect()
    }

    /// Returns the address of the status page, and its code.
    async fn page(&self) -> (String, String) {
        let page = self.program.run(&["access", "page"]).await;
        assert_eq!(page.code, Some(0), "{}", page.stderr);
        let (address, code) = page.stdout.trim().split_once('#').unwrap();
        assert_eq!(address, format!("http://{}/", self.gateway.ops_address()));
        (address.to_owned(), code.to_owned())
    }

    /// Sends a request to the operations listener, and returns the status and the whole reply.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.gateway.ops_address()).await.unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        (reply.split_whitespace().nth(1).unwrap().parse().unwrap(), reply)
    }

    async fn stop(self) {
        self.gateway.stop().await;
    }
}

/// Waits for a request of a model, and returns it.
pub(crate) async fn waiting(program: &ProgramFixture) -> Value {
    loop {
        let listed = program.run(&["access", "list", "--json"]).await;
        assert_eq!(listed.code, Some(0), "{}", listed.stderr);
        let mut listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        if !listed["requests"].as_array().unwrap().is_empty() {
            return listed["requests"][0].take();
        }
    }
}

async fn run(program: &ProgramFixture, decision: &str, request: &Value) -> (Option<i32>, String) {
    let output = program.run(&["access", decision, request["id"].as_str().unwrap()]).await;
    output.assert_printable();
    (output.code, output.combined_output())
}

type Headers<'a> = Vec<(&'a str, &'a str)>;

/// Returns the host and the origin of the operations listener.
fn own_names(fixture: &RequestFixture) -> (String, String) {
    let host = fixture.gateway.ops_address().to_owned();
    let origin = format!("http://{host}");
    (host, origin)
}

/// Returns the headers of a decision on the page.
fn proof<'a>(host: &'a str, origin: &'a str, code: &'a str) -> Headers<'a> {
    let content_type = ("Content-Type", "application/json");
    vec![("Host", host), ("Origin", origin), content_type, ("Valetkey-Operator-Code", code)]
}

fn without<'a>(headers: &[(&'a str, &'a str)], name: &str) -> Headers<'a> {
    headers.iter().copied().filter(|(header, _)| *header != name).collect()
}

fn with<'a>(headers: &[(&'a str, &'a str)], name: &'a str, value: &'a str) -> Headers<'a> {
    let mut changed = without(headers, name);
    changed.push((name, value));
    changed
}

#[tokio::test]
async fn access_approve_in_terminal_grants_over_http() {
    let fixture = RequestFixture::start("").await;
    let (granted, ()) = tokio::join!(fixture.request("deploy", "to deploy"), async {
        let request = fixture.waiting().await;
        assert_eq!((&request["access"], &request["principal"]), (&json!("deploy"), &json!("alice")));
        assert_eq!((&request["accounts"], &request["lifetime_seconds"]), (&json!(["dev"]), &json!(900)));
        let listed = fixture.program.run(&["access", "list"]).await.stdout;
        assert!(listed.contains("\"to deploy\" (of the agent, not verified)"), "{listed}");
        let status = fixture.program.run(&["status"]).await.stdout;
        assert!(status.contains(request["id"].as_str().unwrap()), "{status}");
        let metrics = get(&fixture.gateway, "/metrics", "").await;
        assert!(metrics.contains("\nvaletkey_access_requests_waiting 1\n"), "{metrics}");
        let (code, text) = run(&fixture.program, "approve", &request).await;
        assert_eq!(code, Some(0), "{text}");
        assert!(text.starts_with("approved: access `deploy` for 900 s"), "{text}");
        let (code, text) = run(&fixture.program, "deny", &request).await;
        assert_eq!((code, text.contains("no such request waits")), (Some(1), true), "{text}");
    });
    let handle = granted["structuredContent"]["credential_session"].clone();
    assert!(handle.is_string(), "{granted}");
    let (_, listed) =
        fixture.gateway.call(TOKEN, "list_aws_accounts", json!({"credential_session": handle})).await;
    assert!(listed.to_string().contains("dev"), "{listed}");
    let none = fixture.program.run(&["access", "list"]).await;
    assert!(none.stdout.contains("no request waits"), "{}", none.stdout);
    let metrics = get(&fixture.gateway, "/metrics", "").await;
    assert!(metrics.contains("\nvaletkey_access_requests_waiting 0\n"), "{metrics}");
    let expected = [("request_access", Value::Null), ("grant_access", json!("terminal"))];
    assert_eq!(fixture.events(), expected.map(|(event, by)| (event.to_owned(), by)));
    fixture.stop().await;
}

#[tokio::test]
async fn access_deny_in_terminal_refuses() {
    let fixture = RequestFixture::start("").await;
    let reason = format!("<b>{CONTROL_CHARACTERS}\"");
    let (refused, ()) = tokio::join!(fixture.request("deploy", &reason), async {
        let request = fixture.waiting().await;
        fixture.program.run(&["access", "list"]).await.assert_printable();
        let (code, text) = run(&fixture.program, "deny", &request).await;
        assert_eq!((code, text.starts_with("denied: access `deploy`")), (Some(0), true), "{text}");
    });
    assert_eq!(refused["structuredContent"]["error"]["code"], "denied", "{refused}");
    let expected = [("request_access", Value::Null), ("refuse_access", json!("terminal"))];
    assert_eq!(fixture.events(), expected.map(|(event, by)| (event.to_owned(), by)));
    // What the principal has no account for is not offered.
    let other = fixture.request("production", "to deploy").await;
    assert_eq!(other["structuredContent"]["error"]["code"], "invalid", "{other}");
    fixture.stop().await;
}

#[tokio::test]
async fn access_approve_in_terminal_grants_over_stdio() {
    for era in ERAS {
        let program = fixture("");
        let arguments = ["serve", "--principal", "alice"];
        let mut client = McpClientFixture::connect_with(&program, era, &arguments).await;
        let (granted, ()) =
            tokio::join!(client.call(TOOL, json!({"access": "deploy", "reason": "to deploy"})), async {
                let request = waiting(&program).await;
                let (code, text) = run(&program, "approve", &request).await;
                assert_eq!(code, Some(0), "{text}");
            });
        assert!(granted["structuredContent"]["credential_session"].is_string(), "{era:?}: {granted}");
        assert_eq!(client.close().await.code, Some(0));
    }
}

#[tokio::test]
async fn access_decision_over_tcp_needs_every_proof() {
    let fixture = RequestFixture::start("").await;
    let (_, code) = fixture.page().await;
    let (host, origin) = own_names(&fixture);
    let proof = proof(&host, &origin, &code);
    let cookie_value = format!("Valetkey-Operator-Code={code}");
    let mut cookie = without(&proof, "Valetkey-Operator-Code");
    cookie.push(("Cookie", &cookie_value));
    let (refused, ()) = tokio::join!(fixture.request("deploy", "to deploy"), async {
        let request = fixture.waiting().await;
        let path = format!("/access/requests/{}", request["id"].as_str().unwrap());
        for (headers, expected) in [
            (with(&proof, "Host", "attacker.example"), 403),
            (with(&proof, "Origin", "http://attacker.example"), 403),
            (with(&proof, "Origin", "null"), 403),
            (without(&proof, "Origin"), 403),
            (with(&proof, "Sec-Fetch-Site", "cross-site"), 403),
            (with(&proof, "Sec-Fetch-Site", "none"), 403),
            (with(&proof, "X-Forwarded-For", "192.0.2.1"), 403),
            (with(&proof, "Forwarded", "for=192.0.2.1"), 403),
            (without(&proof, "Valetkey-Operator-Code"), 403),
            (with(&proof, "Valetkey-Operator-Code", ""), 403),
            (with(&proof, "Valetkey-Operator-Code", "00000000000000000000000000000000"), 403),
            (cookie, 403),
            (without(&proof, "Content-Type"), 415),
            (with(&proof, "Content-Type", "text/plain"), 415),
        ] {
            let (status, reply) = fixture.send("POST", &path, &headers, APPROVE).await;
            assert_eq!(status, expected, "{headers:?}: {reply}");
            assert!(!reply.to_ascii_lowercase().contains("access-control-allow"), "{reply}");
        }
        assert_eq!(fixture.waiting().await["id"], request["id"], "nothing has decided");
        assert_eq!(run(&fixture.program, "deny", &request).await.0, Some(0));
    });
    assert_eq!(refused["structuredContent"]["error"]["code"], "denied", "{refused}");
    fixture.stop().await;
}

#[tokio::test]
async fn access_decision_on_page_counts_once() {
    let fixture = RequestFixture::start("").await;
    let (_, replaced) = fixture.page().await;
    let (_, code) = fixture.page().await;
    let (host, origin) = own_names(&fixture);
    let (proof, replaced) = (proof(&host, &origin, &code), proof(&host, &origin, &replaced));
    let (granted, ()) = tokio::join!(fixture.request("deploy", "to deploy"), async {
        let request = fixture.waiting().await;
        let path = format!("/access/requests/{}", request["id"].as_str().unwrap());
        for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
            assert_eq!(fixture.send(method, &path, &proof, APPROVE).await.0, 405, "{method}");
        }
        for body in ["", "{}", r#"{"decision": "grant"}"#, r#"{"decision": "approve", "more": 1}"#] {
            assert_eq!(fixture.send("POST", &path, &proof, body).await.0, 400, "{body}");
        }
        assert_eq!(fixture.send("POST", &path, &proof, &" ".repeat(2_000)).await.0, 400);
        // Only the socket issues a code, and a code that was replaced is no proof.
        assert_eq!(fixture.send("POST", "/access/code", &proof, "{}").await.0, 403);
        assert_eq!(fixture.send("POST", &path, &replaced, APPROVE).await.0, 403);
        assert_eq!(fixture.send("POST", "/access/requests/000000000000", &proof, APPROVE).await.0, 404);
        assert_eq!(fixture.waiting().await["id"], request["id"], "nothing has decided");
        let (status, reply) = fixture.send("POST", &path, &proof, APPROVE).await;
        assert_eq!(status, 200, "{reply}");
        assert_eq!(fixture.send("POST", &path, &proof, APPROVE).await.0, 404, "it was decided");
    });
    assert!(granted["structuredContent"]["credential_session"].is_string(), "{granted}");
    assert_eq!(fixture.events().last().unwrap().1, "status_page");
    fixture.stop().await;
}

#[tokio::test]
async fn access_status_shows_requests_without_secrets() {
    let canary = Canary::new();
    let fixture = RequestFixture::start("").await;
    let set = json!({
        "credential_session": fixture.session, "account": "dev", "credentials_json": canary.to_json().to_string(),
    });
    // The floor cannot be given keys: what a model sends is not kept.
    fixture.gateway.call(TOKEN, "set_aws_credentials_context", set).await;
    let (_, code) = fixture.page().await;
    let (_, ()) = tokio::join!(fixture.request("deploy", "to deploy"), async {
        let request = fixture.waiting().await;
        let status = get(&fixture.gateway, "/status", "").await;
        let read: Value = serde_json::from_str(body(&status)).unwrap();
        assert_eq!(read["access"]["requests"][0]["id"], request["id"], "{read}");
        assert_eq!(read["access"]["accepts_code"], true);
        let page = get(&fixture.gateway, "/", "").await;
        for reply in [&status, &page] {
            let handle = fixture.session.as_str().unwrap();
            assert!(!reply.contains(handle) && !reply.contains(&code), "{reply}");
            assert!(canary.found_in(reply).is_empty(), "{reply}");
        }
        assert_eq!(run(&fixture.program, "deny", &request).await.0, Some(0));
    });
    let output = fixture.gateway.stop_with_output().await;
    assert!(output.stderr.contains("waits for a person") && !output.stderr.contains(&code));
    assert!(canary.found_in(&output.stderr).is_empty(), "{}", output.stderr);
}

#[tokio::test]
async fn access_request_ends_with_its_session() {
    let fixture = RequestFixture::start("").await;
    let (refused, ()) = tokio::join!(fixture.request("deploy", "to deploy"), async {
        let request = fixture.waiting().await;
        let session = json!({"credential_session": fixture.session});
        fixture.gateway.call(TOKEN, "close_credential_session", session).await;
        let (code, text) = run(&fixture.program, "approve", &request).await;
        assert_eq!(code, Some(1), "{text}");
    });
    assert_eq!(refused["structuredContent"]["error"]["code"], "closed", "{refused}");
    let expected = [("request_access", Value::Null), ("refuse_access", Value::Null)];
    assert_eq!(fixture.events(), expected.map(|(event, by)| (event.to_owned(), by)));
    fixture.stop().await;
}

#[tokio::test]
async fn access_without_socket_has_no_operator() {
    let fixture = RequestFixture::start("[ops]\nsocket = false\n").await;
    until_ready(&fixture.gateway).await;
    let refused = fixture.request("deploy", "to deploy").await;
    assert_eq!(refused["structuredContent"]["error"]["code"], "not_configured", "{refused}");
    let host = fixture.gateway.ops_address().to_owned();
    let origin = format!("http://{host}");
    let headers = [("Host", host.as_str()), ("Origin", &origin), ("Content-Type", "application/json")];
    let (status, reply) = fixture.send("POST", "/access/requests/000000000000", &headers, APPROVE).await;
    assert_eq!(status, 403, "{reply}");
    let page = fixture.program.run(&["access", "page"]).await;
    assert_eq!(page.code, Some(1));
    assert!(page.stderr.contains("no gateway of this user is running"), "{}", page.stderr);
    fixture.stop().await;
}

#[tokio::test]
async fn access_socket_refuses_servers_of_the_gateway() {
    let script = r#""$PROGRAM" access list >"$OUT" 2>&1; echo "exit $?" >>"$OUT"; exec cat >/dev/null"#;
    let program = fixture("");
    let out = program.path("out");
    let environment = json!({
        "PROGRAM": env!("CARGO_BIN_EXE_valetkey"), "OUT": out, "XDG_RUNTIME_DIR": program.runtime_dir(),
    });
    let server = json!({"command": "sh", "args": ["-c", script], "env": environment});
    let program = program.file("servers.json", json!({"mcpServers": {"probe": server}}).to_string());
    let gateway = HttpGatewayFixture::start(&program, &["--mcp-config", "servers.json"]).await;
    let found = loop {
        gateway.request(TOKEN, "tools/list", json!({})).await;
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        if text.contains("exit ") {
            break text;
        }
    };
    assert!(found.contains("programs that this gateway has started cannot use its socket"), "{found}");
    let listed = program.run(&["access", "list"]).await;
    assert_eq!((listed.code, listed.stderr.contains("cannot use")), (Some(0), false), "{}", listed.stderr);
    gateway.stop().await;
}

#[tokio::test]
async fn access_lists_sign_in_that_credentials_need() {
    const PROFILE: &str = "[profile ended]\nsso_session = work\nsso_account_id = 111111111111\n\
                           sso_role_name = agent\n[sso-session work]\nsso_region = us-east-1\n\
                           sso_start_url = https://example.com\n";
    let settings =
        "[session]\ndefault_account = 'dev'\n[accounts.dev]\nprovider = 'profile'\nname = 'ended'\n";
    let program = ProgramFixture::new().file("aws-config", PROFILE).file("valetkey.toml", settings);
    let config = program.path("aws-config");
    let program = program.env("AWS_CONFIG_FILE", config);
    let mut client = McpClientFixture::connect_with(&program, ERAS[0], &["serve"]).await;
    for (decision, outcome, code) in
        [("approve", "approved: sign-in for `dev`", "interaction_required"), ("deny", "denied: ", "denied")]
    {
        let (failed, ()) = tokio::join!(client.call("refresh_aws_credentials", json!({})), async {
            let request = waiting(&program).await;
            assert_eq!((&request["kind"], &request["account"]), (&json!("sign_in"), &json!("dev")));
            let listed = program.run(&["access", "list"]).await.stdout;
            let to_do = "to do      run `aws sso login --profile ended`, ";
            assert!(listed.contains(to_do), "{listed}");
            let status = program.run(&["status"]).await.stdout;
            assert!(status.contains("sign-in for `dev`"), "{status}");
            let (code, text) = run(&program, decision, &request).await;
            assert!(code == Some(0) && text.starts_with(outcome), "{text}");
        });
        // The sign-in was not made.
        assert_eq!(failed["structuredContent"]["error"]["code"], code, "{failed}");
    }
    assert_eq!(client.close().await.code, Some(0));
}

#[tokio::test]
async fn access_arguments_that_are_wrong_are_reported() {
    let program = fixture("");
    for id in ["", "../status", "0123456789ag", "4b1f/../code"] {
        let refused = program.run(&["access", "approve", id]).await;
        assert_eq!(refused.code, Some(2), "{id}: {}", refused.stderr);
    }
    let none = program.run(&["access", "approve", "4b1f0c9d2e7a"]).await;
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("no gateway of this user is running"), "{}", none.stderr);
    // A gateway on standard input and output has no page without `--ops`.
    let mut client =
        McpClientFixture::connect_with(&program, ERAS[0], &["serve", "--principal", "alice"]).await;
    assert!(client.tools().await.contains(&TOOL.to_owned()));
    let page = program.run(&["access", "page"]).await;
    assert_eq!(page.code, Some(1));
    assert!(page.stderr.contains("--ops 127.0.0.1:9464"), "{}", page.stderr);
    let unknown = program.run(&["access", "deny", "4b1f0c9d2e7a"]).await;
    assert_eq!((unknown.code, unknown.stderr.contains("no such request waits")), (Some(1), true));
    assert_eq!(client.close().await.code, Some(0));
}
