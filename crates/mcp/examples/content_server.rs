//! An MCP server for tests that has prompts, resources, templates and completions, with fields that no protocol
//! revision has. It supports the legacy protocol, or also the modern one if its first argument is `modern`. Its second
//! argument is the scheme of its URIs.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let is_modern = args.next().as_deref() == Some("modern");
    let scheme = args.next().unwrap_or_else(|| "test".to_owned());
    let mut server =
        ContentServer { is_modern, scheme, changes: 0, watched: BTreeSet::new(), listen_id: Value::Null };
    for line in stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        server.handle(&message)?;
    }
    Ok(())
}

struct ContentServer {
    is_modern: bool,
    scheme: String,
    /// The number of calls of the tool `change`.
    changes: usize,
    /// The resources that a client has subscribed to.
    watched: BTreeSet<String>,
    /// The id of the last subscription of a modern client.
    listen_id: Value,
}

impl ContentServer {
    fn handle(&mut self, message: &Value) -> Result<()> {
        let params = &message["params"];
        let result = match message["method"].as_str().unwrap_or_default() {
            "server/discover" if self.is_modern => self.description(&json!("2026-07-28")),
            "initialize" => self.description(&params["protocolVersion"]),
            "tools/list" => json!({"tools": [
                {"name": "change", "inputSchema": {"type": "object"}},
                {"name": "update", "inputSchema": {"type": "object"}},
            ]}),
            "tools/call" => return self.call(message),
            "resources/subscribe" => {
                self.watched.extend(params["uri"].as_str().map(str::to_owned));
                json!({})
            }
            "resources/unsubscribe" => {
                self.watched.remove(params["uri"].as_str().unwrap_or_default());
                json!({})
            }
            "subscriptions/listen" if self.is_modern => return self.listen(message),
            "prompts/list" => return self.list_prompts(message),
            "resources/list" => json!({"resources": [
                {"uri": self.uri("static"), "name": "static", "mimeType": "text/plain", "x-resource": 1},
                {"uri": self.uri("watched"), "name": "watched"},
                {"uri": "shared:same", "name": self.scheme},
                {"name": "no-uri"},
            ]}),
            "resources/templates/list" => json!({"resourceTemplates": [
                {"uriTemplate": self.uri("item/{id}"), "name": "item", "x-template": true},
            ]}),
            "prompts/get" => json!({
                "description": "d",
                "messages": [{"role": "narrator", "content": {"type": "text", "text": params, "x": 1}}],
                "x-prompt": params,
                "_meta": {"vendor/prompt": 1},
            }),
            "resources/read" if params["uri"] == self.uri("missing") => {
                return self.respond_error(message, -32002, "no such resource");
            }
            "resources/read" => json!({
                "contents": [{"uri": params["uri"], "text": secret(), "x-contents": [1]}],
                "x-read": params,
                "ttlMs": 60_000,
                "cacheScope": "public",
            }),
            "completion/complete" => {
                json!({"completion": {"values": [params["ref"].to_string()], "x-completion": 1}})
            }
            _ if message.get("id").is_some() => {
                return self.respond_error(message, -32601, "no such method");
            }
            _ => return Ok(()),
        };
        self.respond(message, result)
    }

    fn uri(&self, path: &str) -> String {
        format!("{}:{path}", self.scheme)
    }

    fn description(&self, version: &Value) -> Value {
        json!({
            "protocolVersion": version,
            "supportedVersions": ["2026-07-28"],
            "capabilities": {
                "tools": {"listChanged": true},
                "prompts": {"listChanged": true},
                "resources": {"listChanged": true, "subscribe": true},
                "completions": {},
            },
            "serverInfo": {"name": "content", "version": "1"},
            "instructions": format!("Instructions of {}.", self.scheme),
        })
    }

    /// Lists two pages, with a malformed prompt on the first.
    fn list_prompts(&self, message: &Value) -> Result<()> {
        let mut names = vec![format!("greet{}", self.changes)];
        if message["params"]["cursor"] == "second" {
            names = vec!["last".to_owned()];
        }
        let mut prompts: Vec<_> = names
            .iter()
            .map(|name| json!({"name": name, "arguments": [{"name": "who", "x-argument": 1}], "x-prompt": 1}))
            .collect();
        let mut result = json!({});
        if message["params"].get("cursor").is_none() {
            prompts.push(json!({"name": "malformed", "arguments": "none"}));
            result["nextCursor"] = json!("second");
        }
        result["prompts"] = prompts.into();
        self.respond(message, result)
    }

    fn call(&mut self, message: &Value) -> Result<()> {
        if message["params"]["name"] == "change" {
            self.changes += 1;
            for list in ["prompts", "resources"] {
                self.notify(&format!("notifications/{list}/list_changed"), json!({}))?;
            }
        } else {
            for uri in &self.watched {
                self.notify("notifications/resources/updated", json!({"uri": uri}))?;
            }
        }
        self.respond(message, json!({"content": []}))
    }

    /// Acknowledges a subscription, which replaces the one before.
    fn listen(&mut self, message: &Value) -> Result<()> {
        let wanted = &message["params"]["notifications"];
        let uris = wanted["resourceSubscriptions"].as_array().into_iter().flatten();
        self.watched = uris.filter_map(Value::as_str).map(str::to_owned).collect();
        self.listen_id = message["id"].clone();
        self.notify("notifications/subscriptions/acknowledged", json!({"notifications": wanted}))
    }

    /// Sends a notification, to a modern client as part of its subscription.
    fn notify(&self, method: &str, mut params: Value) -> Result<()> {
        if self.is_modern {
            params["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": self.listen_id});
        }
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    fn respond(&self, message: &Value, mut result: Value) -> Result<()> {
        if self.is_modern {
            result["resultType"] = json!("complete");
        }
        self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
    }

    fn respond_error(&self, message: &Value, code: i64, text: &str) -> Result<()> {
        let error = json!({"code": code, "message": text, "data": {"secret": secret()}});
        self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}))
    }

    fn send(&self, message: &Value) -> Result<()> {
        writeln!(stdout(), "{message}")?;
        Ok(stdout().flush()?)
    }
}

/// The secret of the session's credentials, which must be masked.
fn secret() -> String {
    env::var("AWS_SECRET_ACCESS_KEY").unwrap_or_default()
}
