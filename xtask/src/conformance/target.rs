//! The servers that the conformance suite tests, each in a process that ends with its handle.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use clap::ValueEnum;
use valetkey_rig::target_dir;

use crate::{Result, XtaskError, workspace_root};

/// A server that the suite tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// The fixture by itself, served by rmcp: whatever fails here is a fault of the fixture.
    Fixture,
    /// The gateway without servers.
    Gateway,
    /// The gateway as the proxy of the fixture on stdio.
    Proxy,
}

impl Target {
    pub(super) const ALL: [Self; 3] = [Self::Fixture, Self::Gateway, Self::Proxy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fixture => "fixture",
            Self::Gateway => "gateway",
            Self::Proxy => "proxy",
        }
    }

    /// The folder of its settings and expected failures. The fixture has neither.
    pub(super) fn settings_dir(self) -> Option<PathBuf> {
        (self != Self::Fixture).then(|| workspace_root().join("rig/conformance").join(self.name()))
    }
}

/// A server that listens.
pub(super) struct RunningServer {
    pub(super) target: Target,
    pub(super) url: String,
    process: Child,
}

impl RunningServer {
    /// Starts the server. Its files are written to `folder`.
    pub(super) fn start(target: Target, folder: &Path) -> Result<Self> {
        let programs = target_dir().join("debug");
        let fixture = programs.join("valetkey-conformance-server");
        let mut command = match target.settings_dir() {
            None => Command::new(&fixture),
            Some(settings) => {
                let mut command = Command::new(programs.join("valetkey"));
                command.arg("serve").arg("--config").arg(settings.join("valetkey.toml"));
                command
            }
        };
        if target == Target::Proxy {
            command.arg("--mcp-config").arg(write_mcp_config(&fixture, folder)?);
        }
        let server = Self::spawn(target, command.args(["--http", "127.0.0.1:0"]))?;
        if target == Target::Proxy { server.in_credential_session() } else { Ok(server) }
    }

    /// Opens a credential session and binds it by the path. The suite sends no header with a handle.
    fn in_credential_session(mut self) -> Result<Self> {
        let failed = |error: io::Error| XtaskError::read_failed(&self.url, &error);
        let origin = self.url.trim_end_matches("/mcp");
        let address = origin.trim_start_matches("http://");
        let reply = send_request(address, CREATE_SESSION).map_err(failed)?;
        let missing = || io::Error::other(format!("no credential session: {reply}"));
        let handle = find_handle(&reply).ok_or_else(missing).map_err(failed)?;
        self.url = format!("{origin}/s/{handle}/mcp");
        Ok(self)
    }

    /// The last word of the first line on standard error is the URL. The rest of standard error is discarded.
    fn spawn(target: Target, command: &mut Command) -> Result<Self> {
        let text = format!("{command:?}");
        let not_started = |source| XtaskError::CommandNotStarted { command: text.clone(), source };
        let mut process = command.stderr(Stdio::piped()).spawn().map_err(not_started)?;
        let mut line = String::new();
        if let Some(stderr) = process.stderr.take() {
            let mut stderr = BufReader::new(stderr);
            stderr.read_line(&mut line).map_err(not_started)?;
            thread::spawn(move || io::copy(&mut stderr.by_ref(), &mut io::sink()));
        }
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { target, url, process })
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// A call of the tool that opens a credential session, in the modern revision, which needs no protocol session.
const CREATE_SESSION: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
    "name": "create_credential_session", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "xtask", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}}}}"#;

fn send_request(address: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let head = [
        "POST /mcp HTTP/1.1",
        &format!("Host: {address}"),
        "Connection: close",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: create_credential_session",
        &format!("Content-Length: {}", body.len()),
    ];
    write!(stream, "{}\r\n\r\n{body}", head.join("\r\n"))?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

/// Returns the handle in the structured content of the result.
fn find_handle(reply: &str) -> Option<&str> {
    let (_, rest) = reply.split_once(r#""structuredContent":{"credential_session":""#)?;
    rest.split('"').next()
}

/// Writes the file that names the fixture as the only server of the gateway.
fn write_mcp_config(fixture: &Path, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("mcp.json");
    let text = format!(
        "{{\"mcpServers\": {{\"fixture\": {{\"command\": {:?}}}}}}}\n",
        fixture.display().to_string()
    );
    fs::write(&path, text).map_err(|error| XtaskError::write_failed(path.display(), &error))?;
    Ok(path)
}
