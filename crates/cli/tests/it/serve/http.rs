//! `valetkey serve --http`: who may use the gateway, and the accounts of each principal.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::program_fixture::{ProgramFixture, ProgramOutput};

/// The digests are those of `token-of-alice` and `token-of-bob`.
pub(crate) const PRINCIPALS: &str = "
[session]
attribution = 'none'
[accounts.dev]
provider = 'memory'
[accounts.prod]
provider = 'memory'
[principals.alice]
accounts = ['dev']
token_sha256 = ['19c28a50b1a09097592e7ceddb7e0771ff4d469747541a7536579eef857e05ce']
[principals.bob]
accounts = ['prod']
token_sha256 = ['800480042268218663feef3ea54d81ed3f976c98c38d5fd7afbe22810ec16334']
";

/// A gateway over HTTP.
pub(crate) struct HttpGatewayFixture {
    gateway: Child,
    address: String,
    ops_address: Option<String>,
    stderr: JoinHandle<String>,
}

impl HttpGatewayFixture {
    pub(crate) async fn start(fixture: &ProgramFixture, args: &[&str]) -> Self {
        let mut gateway = fixture.start(&[&["serve", "--http", "127.0.0.1:0"], args].concat());
        let mut stderr = BufReader::new(gateway.stderr.take().unwrap()).lines();
        let mut text = String::new();
        let (mut address, mut ops_address) = (None, None);
        // The operations listener is opened before the gateway serves, and after its address is printed.
        let awaits_ops = args.contains(&"--ops");
        while address.is_none() || (awaits_ops && ops_address.is_none()) {
            let line = stderr.next_line().await.unwrap().unwrap_or_else(|| panic!("{text}"));
            let part = |prefix, suffix| line.strip_prefix(prefix)?.strip_suffix(suffix).map(str::to_owned);
            let served = part("serving MCP at http://", "/mcp");
            if let Some(found) = served.or_else(|| part("serving MCP at https://", "/mcp")) {
                address = Some(found);
            } else if let Some(found) = part("serving operations at http://", "/") {
                ops_address = Some(found);
            } else {
                text += &format!("{line}\n");
            }
        }
        let stderr = tokio::spawn(async move {
            while let Ok(Some(line)) = stderr.next_line().await {
                text += &format!("{line}\n");
            }
            text
        });
        Self { gateway, address: address.unwrap_or_default(), ops_address, stderr }
    }

    /// Returns the address of the operations listener, which `--ops` opens.
    pub(crate) fn ops_address(&self) -> &str {
        self.ops_address.as_deref().unwrap_or_else(|| panic!("no operations listener"))
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Calls a tool, and returns the status and the message.
    pub(crate) async fn call(&self, token: Option<&str>, name: &str, arguments: Value) -> (u16, Value) {
        self.try_call(token, name, arguments).await.unwrap()
    }

    /// Calls a tool of a gateway that may be killed meanwhile. `None` without a whole response.
    pub(crate) async fn try_call(
        &self,
        token: Option<&str>,
        name: &str,
        arguments: Value,
    ) -> Option<(u16, Value)> {
        let params = json!({"name": name, "arguments": arguments});
        let reply = self.try_request(token, "tools/call", params).await.ok()?;
        let status = reply.split_whitespace().nth(1)?.parse().unwrap();
        let body = reply.split_once("\r\n\r\n")?.1;
        Some((status, serde_json::from_str(body).unwrap_or_else(|_| body.into())))
    }

    /// Sends a request of a modern client, and returns the whole reply, with its headers.
    pub(crate) async fn request(&self, token: Option<&str>, method: &str, params: Value) -> String {
        self.try_request(token, method, params).await.unwrap()
    }

    async fn try_request(&self, token: Option<&str>, method: &str, params: Value) -> std::io::Result<String> {
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let headers = format!("Host: {}\r\n{authorization}", self.address);
        modern_request(&self.address, &headers, method, params).await
    }

    /// Opens a credential session, and returns the names of its accounts.
    pub(super) async fn accounts(&self, token: Option<&str>) -> Vec<String> {
        let (status, created) = self.call(token, "create_credential_session", json!({})).await;
        assert_eq!(status, 200, "{created}");
        let session = created["result"]["structuredContent"].clone();
        let (_, listed) = self.call(token, "list_aws_accounts", session).await;
        let accounts = listed["result"]["structuredContent"]["accounts"].as_array();
        let accounts = accounts.unwrap_or_else(|| panic!("{listed}"));
        accounts.iter().map(|account| account["account"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.gateway.id().unwrap()
    }

    /// Waits until the gateway has exited, and returns its exit code.
    pub(crate) async fn wait(mut self) -> Option<i32> {
        self.gateway.wait().await.unwrap().code()
    }

    pub(crate) async fn stop(self) {
        let output = self.stop_with_output().await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
    }

    /// Stops the gateway, and returns what it has written.
    pub(crate) async fn stop_with_output(self) -> ProgramOutput {
        let pid = Pid::from_raw(self.gateway.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let mut output = ProgramFixture::wait_for_output(self.gateway).await;
        output.stderr = self.stderr.await.unwrap();
        output
    }
}

/// Sends a request of a modern client, and returns the whole reply, with its headers.
pub(crate) async fn modern_request(
    address: &str,
    headers: &str,
    method: &str,
    mut params: Value,
) -> std::io::Result<String> {
    let name = params["name"].as_str().unwrap_or_default();
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let headers = format!("{headers}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
    post(address, "/mcp", &headers, &message).await
}

/// Sends a message over a connection of its own, and returns the whole reply, with its headers.
pub(crate) async fn post(
    address: &str,
    path: &str,
    headers: &str,
    message: &Value,
) -> std::io::Result<String> {
    let body = message.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

#[tokio::test]
async fn serve_http_gives_each_principal_its_accounts() {
    let fixture = ProgramFixture::new().file("valetkey.toml", PRINCIPALS);
    let gateway = HttpGatewayFixture::start(&fixture, &[]).await;
    assert_eq!(gateway.accounts(Some("token-of-alice")).await, ["dev"]);
    assert_eq!(gateway.accounts(Some("token-of-bob")).await, ["prod"]);
    for token in [None, Some("token-of-carol")] {
        let (status, refused) = gateway.call(token, "create_credential_session", json!({})).await;
        assert_eq!(status, 401, "{refused}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn serve_http_without_authentication_must_be_written() {
    let fixture = ProgramFixture::new().file("valetkey.toml", "[accounts.dev]\nprovider = 'memory'\n");
    let refused = fixture.run(&["serve", "--http", "127.0.0.1:0"]).await;
    assert_eq!(refused.code, Some(78), "{}", refused.stderr);
    assert!(refused.stderr.contains("token_sha256") && refused.stderr.contains(r#"auth = "none""#));

    let fixture =
        fixture.file("valetkey.toml", "[accounts.dev]\nprovider = 'memory'\n[http]\nauth = 'none'\n");
    let gateway = HttpGatewayFixture::start(&fixture, &[]).await;
    assert_eq!(gateway.accounts(None).await, ["dev"]);
    gateway.stop().await;
}

#[tokio::test]
async fn serve_http_on_other_address_is_usage_error() {
    for address in ["0.0.0.0:7070", "192.0.2.1:7070", "[::]:7070"] {
        let refused = ProgramFixture::new().run(&["serve", "--http", address]).await;
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("127.0.0.1:7070") && refused.stderr.contains("proxy"));
    }
}

#[tokio::test]
async fn serve_http_with_certificate_serves_other_machines() {
    let pair = rcgen::generate_simple_self_signed(["mcp.example.com".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["mcp.example.com".to_owned()]).unwrap();
    let tls = "certificate = 'cert.pem'\nprivate_key = 'key.pem'\n";
    let http = |settings: &str| {
        format!("{PRINCIPALS}[http]\n{settings}public_url = 'https://mcp.example.com/mcp'\n")
    };
    let fixture = ProgramFixture::new()
        .file("cert.pem", pair.cert.pem())
        .file("key.pem", pair.signing_key.serialize_pem())
        .file("other.pem", other.signing_key.serialize_pem())
        .file("valetkey.toml", http(tls));
    let mut gateway = fixture.start(&["serve", "--http", "0.0.0.0:0"]);
    let mut stderr = BufReader::new(gateway.stderr.take().unwrap()).lines();
    let line = stderr.next_line().await.unwrap().unwrap();
    assert!(line.starts_with("serving MCP at https://0.0.0.0:"), "{line}");
    gateway.kill().await.unwrap();

    for (settings, expected) in [
        ("certificate = 'cert.pem'\n", "`certificate` needs its `private_key`"),
        ("private_key = 'key.pem'\n", "`private_key` needs its `certificate`"),
        ("certificate = 'cert.pem'\nprivate_key = 'other.pem'\n", "must be that of the certificate"),
        ("certificate = 'none.pem'\nprivate_key = 'key.pem'\n", "`certificate` names a file that"),
    ] {
        let fixture = ProgramFixture::new()
            .file("cert.pem", pair.cert.pem())
            .file("key.pem", pair.signing_key.serialize_pem())
            .file("other.pem", other.signing_key.serialize_pem())
            .file("valetkey.toml", http(settings));
        let checked = fixture.run(&["check"]).await;
        assert_eq!(checked.code, Some(78), "{settings}: {}", checked.combined_output());
        assert!(checked.stderr.contains(expected), "{settings}: {}", checked.stderr);
        assert!(!checked.stderr.contains("PRIVATE KEY"), "{}", checked.stderr);
    }
}

#[tokio::test]
async fn check_http_reports_contradictions() {
    let base = "[accounts.dev]\nprovider = 'memory'\n[principals.alice]\naccounts = ['dev']\n";
    for (settings, expected) in [
        ("token_sha256 = ['abc']\n[http]\n", "must be a SHA-256 digest"),
        ("[http]\nauth = 'none'\n", "needs the `principal` of `[session]`"),
        ("[http]\n", "give a principal a `token_sha256`"),
        ("[http]\nauth = 'basic'\n", "`auth` must be"),
        ("[http]\npublic = 'x'\n", "did you mean `public_url`"),
    ] {
        let fixture = ProgramFixture::new().file("valetkey.toml", format!("{base}{settings}"));
        let output = fixture.run(&["check"]).await;
        assert_eq!(output.code, Some(78), "{settings}: {}", output.combined_output());
        assert!(output.stderr.contains(expected), "{settings}: {}", output.stderr);
    }
    let fixture = ProgramFixture::new().file("valetkey.toml", PRINCIPALS);
    assert_eq!(fixture.run(&["check"]).await.code, Some(0));
}
