//! An MCP server for tests that sends too much: `flooding`, `huge` or `changing`, as its first argument selects.

use std::env;
use std::io::{Write, stderr, stdout};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

#[path = "tool_server/stdio.rs"]
mod stdio;

use stdio::{Result, refuse_method, respond, respond_to_initialize, serve};

fn main() -> Result<()> {
    let mode = env::args().nth(1).unwrap_or_default();
    match mode.as_str() {
        "flooding" => {
            let data = "x".repeat(1024);
            let params = json!({"level": "error", "data": data});
            let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
            repeat(move || writeln!(stderr(), "{data}").and_then(|()| writeln!(stdout(), "{log}")));
        }
        "changing" => {
            let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
            repeat(move || writeln!(stdout(), "{changed}"));
        }
        _ => {}
    }
    let mut lists = 0;
    serve(|message| match message["method"].as_str().unwrap_or_default() {
        "initialize" => respond_to_initialize(message, "excessive"),
        "tools/list" => {
            lists += 1;
            let names = match mode.as_str() {
                "huge" => (0..100_000).map(|index| format!("tool{index}")).collect(),
                "changing" => vec![format!("tool{lists}")],
                _ => vec!["tool".to_owned()],
            };
            let tools: Vec<Value> = names.into_iter().map(|name| json!({"name": name})).collect();
            respond(message, &json!({"tools": tools}))
        }
        "tools/call" => respond(message, &json!({"content": [], "structuredContent": {"lists": lists}})),
        _ => refuse_method(message),
    })
}

/// Sends again and again, until the client has left.
fn repeat(send: impl Fn() -> std::io::Result<()> + Send + 'static) {
    thread::spawn(move || {
        while (0..50).try_for_each(|_| send()).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
}
