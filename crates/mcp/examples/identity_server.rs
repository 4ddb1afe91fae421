//! A light MCP server for tests with many processes: it reads credentials from its endpoint and looks up their account at STS.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::exit;

use serde_json::{Value, json};

#[path = "tool_server/stdio.rs"]
mod stdio;

use stdio::{Result, refuse_method, respond, respond_to_initialize, serve};

fn main() -> Result<()> {
    serve(handle)
}

fn handle(message: &Value) -> Result<()> {
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => respond_to_initialize(message, "identity"),
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
        _ => refuse_method(message),
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
