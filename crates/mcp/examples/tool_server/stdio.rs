//! The protocol of test servers that have nothing but tools: one JSON message a line, on standard input and output.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

use serde_json::{Value, json};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Passes each message to `handle` until standard input ends.
pub(crate) fn serve(mut handle: impl FnMut(&Value) -> Result<()>) -> Result<()> {
    stdin().lock().lines().try_for_each(|line| handle(&serde_json::from_str(&line?)?))
}

pub(crate) fn respond_to_initialize(message: &Value, name: &str) -> Result<()> {
    let result = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": name, "version": "1"},
    });
    respond(message, &result)
}

pub(crate) fn respond(message: &Value, result: &Value) -> Result<()> {
    send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}

/// Refuses a request with a method that the server does not have. Ignores a notification.
pub(crate) fn refuse_method(message: &Value) -> Result<()> {
    if message.get("id").is_none() {
        return Ok(());
    }
    let error = json!({"code": -32601, "message": "no such method"});
    send(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}))
}

fn send(message: &Value) -> Result<()> {
    writeln!(stdout(), "{message}")?;
    Ok(stdout().flush()?)
}
