//! A misbehaving MCP server for tests: it starts late, once or never, lists no tools, stops reading, or sends
//! requests.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::thread::park;
use std::time::Duration;

use serde_json::{Value, json};

#[path = "tool_server/stdio.rs"]
mod stdio;

use stdio::{Result, refuse_method, respond, respond_to_initialize, serve};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let server = StubbornServer {
        mode: args.next().unwrap_or_default(),
        marker_dir: args.next().unwrap_or_default().into(),
        key: env::var("AWS_ACCESS_KEY_ID").map_or("none".to_owned(), |id| id[id.len() - 4..].to_owned()),
    };
    if server.has_marker("left") && server.mode == "once" {
        return Err("it starts only once".into());
    }
    server.write_marker(&server.key)?;
    while server.mode == "slow" && !server.has_marker("go") {
        std::thread::sleep(Duration::from_millis(5));
    }
    if server.mode == "late" && server.key == "AAAA" {
        park_forever();
    }
    serve(|message| server.handle(message))?;
    server.write_marker("left")
}

/// Blocks until the process is killed.
fn park_forever() -> ! {
    loop {
        park();
    }
}

struct StubbornServer {
    /// `late` with the keys AAAA, `slow` until the file `go` exists, `once` until it has exited, `listless`, `deaf`
    /// from the first call on, `asking`.
    mode: String,
    /// The folder for markers of its progress.
    marker_dir: PathBuf,
    /// The last four characters of its key id.
    key: String,
}

impl StubbornServer {
    fn has_marker(&self, name: &str) -> bool {
        self.marker_dir.join(name).exists()
    }

    fn write_marker(&self, name: &str) -> Result<()> {
        if self.marker_dir.as_os_str().is_empty() {
            return Ok(());
        }
        // Renamed into place, so that the file is never read while incomplete.
        let written = self.marker_dir.join(format!("{name}.part"));
        fs::write(&written, std::process::id().to_string())?;
        Ok(fs::rename(written, self.marker_dir.join(name))?)
    }

    fn handle(&self, message: &Value) -> Result<()> {
        match message["method"].as_str().unwrap_or_default() {
            "initialize" => respond_to_initialize(message, "unresponsive"),
            "tools/list" if self.mode == "listless" => Ok(()),
            "tools/list" => {
                respond(message, &json!({"tools": [{"name": "tool", "inputSchema": {"type": "object"}}]}))
            }
            "tools/call" if self.mode == "deaf" => {
                self.write_marker("deaf")?;
                park_forever()
            }
            "tools/call" if self.mode == "once" => {
                self.write_marker("left")?;
                Err("it ends at the first call".into())
            }
            "tools/call" if self.mode == "asking" => {
                respond(message, &json!({"resultType": "input_required", "inputRequests": {}}))
            }
            "tools/call" => respond(message, &json!({"content": [], "structuredContent": {"key": self.key}})),
            _ => refuse_method(message),
        }
    }
}
