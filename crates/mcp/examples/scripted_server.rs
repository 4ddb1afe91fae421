//! An MCP server for tests that sends what the arguments of a call, or of a request for its prompt, list: notifications,
//! requests to the client, and its result. The first argument of the program is its protocol era: `legacy`, `modern` or `both`. With the second argument
//! `tasks`, it supports tasks: it responds to each request for one with the parameters, as a task that is completed.
//!
//! | step | effect |
//! |---|---|
//! | `{"notify": [method, params]}` | sends a notification |
//! | `{"progress": n}` | sends a progress notification for the call |
//! | `{"request": [method, params]}` | sends a request and waits for its response |
//! | `{"cancel": [method, params, name]}` | sends a request, waits like `wait`, and cancels it |
//! | `{"wait": name}` | creates the file `name.began` in its folder, and waits for `name` |
//! | `{"result": result}` | responds with this result |
//! | `{"require": result}` | responds with this result, unless the call has responses to it |
//! | `{"error": error}` | responds with this error |
//! | `{"truncate": null}` | responds with a truncated result |
//!
//! `SECRET` in a step is replaced by the secret access key of the server's environment. The result is the list of
//! responses, the capabilities and the metadata that the server was given, and its process id.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::PathBuf;
use std::process;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let era = env::args().nth(1).unwrap_or_else(|| "legacy".to_owned());
    let extension = json!({"io.modelcontextprotocol/tasks": {}});
    let extensions = if env::args().nth(2).is_some() { extension } else { json!({}) };
    let mut server =
        ScriptedServer { era, extensions, capabilities: json!(null), levels: Vec::new(), last_id: 0 };
    while let Some(message) = receive()? {
        server.handle(&message)?;
    }
    Ok(())
}

struct ScriptedServer {
    era: String,
    extensions: Value,
    /// The capabilities in `initialize`.
    capabilities: Value,
    /// The levels in `logging/setLevel`.
    levels: Vec<Value>,
    last_id: u64,
}

impl ScriptedServer {
    fn handle(&mut self, message: &Value) -> Result<()> {
        match message["method"].as_str().unwrap_or_default() {
            "server/discover" if self.era != "legacy" => respond(
                message,
                json!({
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}, "prompts": {}, "logging": {}, "extensions": self.extensions},
                    "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                }),
            ),
            "initialize" if self.era != "modern" => {
                self.capabilities = message["params"]["capabilities"].clone();
                let result = json!({
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}, "prompts": {}, "logging": {}},
                    "serverInfo": {"name": "scripted", "version": "1"},
                });
                respond(message, result)
            }
            "tools/list" => {
                let has_tasks = self.extensions != json!({});
                let support = if has_tasks { "optional" } else { "forbidden" };
                let run = json!({
                    "name": "run", "inputSchema": {"type": "object"}, "execution": {"taskSupport": support},
                });
                respond(message, json!({"tools": [run], "resultType": "complete"}))
            }
            "prompts/list" => {
                respond(message, json!({"prompts": [{"name": "run"}], "resultType": "complete"}))
            }
            "tools/call" | "prompts/get" => self.run(message),
            "tasks/get" | "tasks/update" | "tasks/result" | "tasks/cancel" => {
                let secret = env::var("AWS_SECRET_ACCESS_KEY").unwrap_or_default();
                respond(
                    message,
                    json!({
                        "taskId": message["params"]["taskId"], "status": "completed",
                        "result": {"content": [{"type": "text", "text": secret}]},
                        "method": message["method"], "params": message["params"], "pid": process::id(),
                        "resultType": "complete",
                    }),
                )
            }
            "logging/setLevel" => {
                self.levels.push(message["params"]["level"].clone());
                respond(message, json!({}))
            }
            _ if message.get("id").is_some() && message.get("method").is_some() => {
                respond_error(message, json!({"code": -32601, "message": "no such method"}))
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self, call: &Value) -> Result<()> {
        let secret = env::var("AWS_SECRET_ACCESS_KEY").unwrap_or_default();
        let steps = &call["params"]["arguments"]["steps"];
        // An argument of a prompt is a string.
        let steps =
            steps.as_str().map_or_else(|| steps.to_string(), str::to_owned).replace("SECRET", &secret);
        let steps: Value = serde_json::from_str(&steps)?;
        let mut responses = Vec::new();
        for step in steps.as_array().into_iter().flatten() {
            let Some((kind, value)) = step.as_object().and_then(|step| step.iter().next()) else { continue };
            match kind.as_str() {
                "notify" => send(&json!({"jsonrpc": "2.0", "method": value[0], "params": value[1]}))?,
                "progress" => {
                    let token = &call["params"]["_meta"]["progressToken"];
                    let params = json!({"progressToken": token, "progress": value, "x-progress": "kept"});
                    send(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))?;
                }
                "request" => {
                    self.request(value)?;
                    responses.extend(self.receive_response(call)?);
                }
                "cancel" => {
                    self.request(value)?;
                    wait_for_file(value[2].as_str().unwrap_or_default())?;
                    let params = json!({"requestId": self.last_id});
                    send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))?;
                }
                "wait" => wait_for_file(value.as_str().unwrap_or_default())?,
                "result" => return respond(call, value.clone()),
                "require" if call["params"].get("inputResponses").is_some() => {}
                "require" => return respond(call, value.clone()),
                "error" => return respond_error(call, value.clone()),
                "truncate" => {
                    writeln!(stdout(), r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":["#, call["id"])?;
                    return Ok(stdout().flush()?);
                }
                _ => return Err(format!("unknown step {kind}").into()),
            }
        }
        let seen = json!({
            "responses": responses,
            "capabilities": self.capabilities,
            "levels": self.levels,
            "params": call["params"],
            "pid": process::id(),
        });
        let result = match call["method"] == "prompts/get" {
            true => json!({"messages": [], "seen": seen, "resultType": "complete"}),
            false => json!({"content": [], "structuredContent": seen, "resultType": "complete"}),
        };
        respond(call, result)
    }

    fn request(&mut self, request: &Value) -> Result<()> {
        self.last_id += 1;
        let (id, method, params) = (self.last_id, &request[0], &request[1]);
        send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
    }

    /// Waits for the response to the last request. Handles other messages meanwhile; the response that follows the
    /// cancellation of the call is written to a file.
    fn receive_response(&mut self, call: &Value) -> Result<Option<Value>> {
        while let Some(message) = receive()? {
            if message["method"] == "notifications/cancelled" && message["params"]["requestId"] == call["id"]
            {
                let response = receive()?.unwrap_or_default();
                fs::write(tmp_dir()?.join("after_cancellation"), response.to_string())?;
                return Ok(None);
            }
            if message.get("method").is_none() && message["id"] == self.last_id {
                return Ok(Some(message));
            }
            self.handle(&message)?;
        }
        Ok(None)
    }
}

fn wait_for_file(name: &str) -> Result<()> {
    let folder = tmp_dir()?;
    fs::write(folder.join(format!("{name}.began")), "")?;
    while !folder.join(name).exists() {
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn receive() -> Result<Option<Value>> {
    let mut line = String::new();
    match stdin().lock().read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}

fn respond(message: &Value, result: Value) -> Result<()> {
    send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}

fn respond_error(message: &Value, error: Value) -> Result<()> {
    send(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}))
}

fn send(message: &Value) -> Result<()> {
    writeln!(stdout(), "{message}")?;
    Ok(stdout().flush()?)
}

fn tmp_dir() -> Result<PathBuf> {
    Ok(env::var("TMPDIR")?.into())
}
