//! A light MCP server for tests with many processes: it reads credentials from its endpoint and looks up their account at STS.

use std::env;
use std::error::Error;
use std::io::{BufRead, Read, Write, stdin, stdout};
use std::net::TcpStream;
use std::process::exit;

use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    for line in stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        if message.get("id").is_some() {
            handle(&message)?;
        }
    }
    Ok(())
}

fn handle(message: &Value) -> Result<()> {
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => respond(
            message,
            &json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "identity", "version": "1"},
            }),
        ),
        "tools/list" => {
            let tools = ["caller", "ping", "crash"]
                .map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
            respond(message, &json!({"tools": tools}))
        }
        "tools/call" if message["params"]["name"] == "crash" => exit(3),
        "tools/call" if message["params"]["name"] == "ping" => {
            respond(message, &json!({"content": [], "structuredContent": {"pid": std::process::id()}}))
        }
        "tools/call" => {
            let result = match caller_account() {
                Ok(account) => json!({"account": account, "pid": std::process::id()}),
                Err(error) => {
                    return respond(
                        message,
                        &json!({"content": [text(&error.to_string())], "isError": true}),
                    );
                }
            };
            respond(message, &json!({"content": [], "structuredContent": result}))
        }
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            send(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}))
        }
    }
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// Returns the account that STS finds for the credentials. The emulator looks at the key id, and checks no signature.
fn caller_account() -> Result<String> {
    let authorization = format!("Authorization: {}\r\n", env::var("AWS_CONTAINER_AUTHORIZATION_TOKEN")?);
    let keys = request("GET", &env::var("AWS_CONTAINER_CREDENTIALS_FULL_URI")?, &authorization, "")?;
    let keys: Value = serde_json::from_str(&keys)?;
    let (id, token) =
        (keys["AccessKeyId"].as_str().ok_or("no key")?, keys["Token"].as_str().ok_or("no token")?);
    let scope = "20260101/us-east-1/sts/aws4_request";
    let headers = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders=host, Signature=00\r\n\
         X-Amz-Security-Token: {token}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    );
    let url = format!("{}/", env::var("AWS_ENDPOINT_URL")?);
    let reply = request("POST", &url, &headers, "Action=GetCallerIdentity&Version=2011-06-15")?;
    let account = reply.split_once("<Account>").and_then(|(_, rest)| rest.split_once("</Account>"));
    Ok(account.ok_or("STS returns no account")?.0.to_owned())
}

/// Sends a request and returns the body of the response.
fn request(method: &str, url: &str, headers: &str, body: &str) -> Result<String> {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("bad url")?;
    let mut stream = TcpStream::connect(host)?;
    let head = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response.split_once("\r\n\r\n").ok_or("no body")?.1.to_owned())
}

fn respond(message: &Value, result: &Value) -> Result<()> {
    send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}

fn send(message: &Value) -> Result<()> {
    writeln!(stdout(), "{message}")?;
    Ok(stdout().flush()?)
}
