//! The gateways that are compared, and how each is started.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::client::McpClient;
use super::http_client::HttpClient;
use super::stdio_client::StdioClient;
use crate::Result;

pub(crate) const DIRECT: &str = "no gateway";
pub(crate) const RELAY: &str = "relay of bytes";
pub(crate) const PASS_THROUGH: &str = "rmcp pass-through";
pub(crate) const VALETKEY: &str = "valetkey";
/// Its server gets no credentials.
pub(crate) const VALETKEY_WITHOUT: &str = "valetkey, no credentials";
pub(crate) const FASTMCP: &str = "FastMCP proxy";
pub(crate) const PASS_THROUGH_HTTP: &str = "rmcp pass-through, HTTP";
pub(crate) const VALETKEY_HTTP: &str = "valetkey, HTTP";
pub(crate) const FASTMCP_HTTP: &str = "FastMCP proxy, HTTP";
pub(crate) const RUST_PROXY_HTTP: &str = "mcp-proxy (Rust), HTTP";
pub(crate) const PYTHON_PROXY_HTTP: &str = "mcp-proxy (PyPI), HTTP";

pub(crate) const STDIO_SUBJECTS: [&str; 6] =
    [DIRECT, RELAY, PASS_THROUGH, VALETKEY, VALETKEY_WITHOUT, FASTMCP];
pub(crate) const HTTP_SUBJECTS: [&str; 5] =
    [VALETKEY_HTTP, PASS_THROUGH_HTTP, RUST_PROXY_HTTP, PYTHON_PROXY_HTTP, FASTMCP_HTTP];

/// The settings of a gateway with many principals.
pub(crate) const MEMORY_SETTINGS: &str = "memory.toml";
pub(crate) const PRINCIPALS: usize = 51;
const WITHOUT_SETTINGS: &str = "none.toml";

const START_TIMEOUT: Duration = Duration::from_secs(60);
const FASTMCP_SCRIPT: &str = include_str!("fastmcp_proxy.py");

/// The programs of the subjects.
pub(crate) struct Programs {
    pub(crate) valetkey: PathBuf,
    /// The `bin` folder of a Python environment with `fastmcp` and `mcp-proxy`.
    pub(crate) python: Option<PathBuf>,
    /// A folder for configuration files.
    pub(crate) folder: PathBuf,
}

impl Programs {
    /// Writes the configuration files of the subjects.
    pub(crate) fn prepare(&self) -> Result<()> {
        let peer = peer_program()?;
        let peer = peer.display();
        fs::create_dir_all(&self.folder)?;
        let write = |name: &str, text: String| fs::write(self.folder.join(name), text);
        write(
            "servers.json",
            format!(r#"{{"mcpServers": {{"peer": {{"command": "{peer}", "args": ["echo"]}}}}}}"#),
        )?;
        let accounts = "[accounts.dev]\nprovider = \"environment\"\n";
        write("stdio.toml", accounts.to_owned())?;
        write(WITHOUT_SETTINGS, format!("{accounts}[servers.peer]\ncredentials = \"none\"\n"))?;
        write("http.toml", format!("{accounts}\n[http]\nauth = \"none\"\n"))?;
        write(MEMORY_SETTINGS, format!("{accounts}{}", principal_settings(PRINCIPALS)))?;
        write("fastmcp_proxy.py", FASTMCP_SCRIPT.to_owned())?;
        write(
            "proxy.toml",
            format!(
                "[proxy]\nname = \"bench\"\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = 0\n\n[[backends]]\nname = \
                 \"peer\"\ntransport = \"stdio\"\ncommand = \"{peer}\"\nargs = [\"echo\"]\n"
            ),
        )?;
        Ok(())
    }

    /// Starts a subject and connects to it. `None` if its program is not installed.
    pub(crate) async fn start(&self, name: &str) -> Result<Option<McpClient>> {
        let peer = peer_program()?;
        let run_peer = |mode: &str| {
            let mut command = Command::new(&peer);
            command.arg(mode);
            if mode != "echo" {
                command.arg(&peer).arg("echo");
            }
            command
        };
        let started = match name {
            DIRECT => McpClient::Stdio(Box::new(StdioClient::start(&mut run_peer("echo"))?)),
            RELAY => McpClient::Stdio(Box::new(StdioClient::start(&mut run_peer("relay"))?)),
            PASS_THROUGH => McpClient::Stdio(Box::new(StdioClient::start(&mut run_peer("pass-through"))?)),
            VALETKEY => McpClient::Stdio(Box::new(StdioClient::start(&mut self.valetkey("stdio.toml"))?)),
            VALETKEY_WITHOUT => {
                let mut command = self.valetkey(WITHOUT_SETTINGS);
                McpClient::Stdio(Box::new(StdioClient::start(&mut command)?))
            }
            VALETKEY_HTTP => self.start_valetkey_http("http.toml").await?.connect().await?,
            PASS_THROUGH_HTTP => {
                let mut process =
                    run_peer("pass-through-http").stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
                let output = process.stdout.take().ok_or("the peer has no output")?;
                let address = first_line(output).await?.parse()?;
                RunningHttp { process: Arc::new(process), address, path: "/" }.connect().await?
            }
            _ => return self.start_other(name).await,
        };
        Ok(Some(started))
    }

    /// Starts a subject that has to be installed first.
    async fn start_other(&self, name: &str) -> Result<Option<McpClient>> {
        let peer = peer_program()?;
        let python = |program: &str| {
            let path = self.python.as_ref()?.join(program);
            path.exists().then(|| Command::new(path))
        };
        let port = free_port().await?;
        let (command, path) = match name {
            FASTMCP => {
                let Some(mut command) = python("python") else { return Ok(None) };
                command.arg(self.folder.join("fastmcp_proxy.py")).arg(&peer);
                return Ok(Some(McpClient::Stdio(Box::new(StdioClient::start(&mut command)?))));
            }
            FASTMCP_HTTP => {
                let Some(mut command) = python("python") else { return Ok(None) };
                command.arg(self.folder.join("fastmcp_proxy.py")).arg(&peer).arg(port.to_string());
                (command, "/mcp")
            }
            PYTHON_PROXY_HTTP => {
                let Some(mut command) = python("mcp-proxy") else { return Ok(None) };
                command.args(["--port", &port.to_string(), "--"]).arg(&peer).arg("echo");
                (command, "/mcp")
            }
            _ => {
                let Some(program) = valetkey_rig::programs(&["mcp-proxy"]).into_iter().next() else {
                    return Ok(None);
                };
                let text = fs::read_to_string(self.folder.join("proxy.toml"))?;
                let file = self.folder.join(format!("proxy-{port}.toml"));
                fs::write(&file, text.replace("port = 0", &format!("port = {port}")))?;
                let mut command = Command::new(program);
                command.arg("--config").arg(file);
                (command, "/")
            }
        };
        listening(command, port, path).await?.connect().await.map(Some)
    }

    /// Starts `valetkey serve --http`.
    pub(crate) async fn start_valetkey_http(&self, settings: &str) -> Result<RunningHttp> {
        let mut command = self.valetkey(settings);
        command
            .args(["--http", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        let errors = process.stderr.take().ok_or("valetkey has no standard error")?;
        let line = first_line(errors).await?;
        let address = line.rsplit('/').nth(1).ok_or_else(|| format!("valetkey printed {line}"))?;
        Ok(RunningHttp { address: address.parse()?, process: Arc::new(process), path: "/mcp" })
    }

    fn valetkey(&self, settings: &str) -> Command {
        let mut command = Command::new(&self.valetkey);
        command.arg("serve").arg("--mcp-config").arg(self.folder.join("servers.json"));
        command.arg("--config").arg(self.folder.join(settings));
        // Keys in form only: no call is made with them.
        command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
        command.env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        command
    }
}

/// Returns the bearer token of one of many principals.
pub(crate) fn token_of(principal: usize) -> String {
    format!("token-of-principal-{principal}")
}

/// Returns the settings of many principals, each with a token.
pub(crate) fn principal_settings(count: usize) -> String {
    let principal = |number: usize| {
        let digest = digest(&SHA256, token_of(number).as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[principals.p{number}]\naccounts = [\"dev\"]\ntoken_sha256 = [\"{digest}\"]\n")
    };
    (0..count).map(principal).collect()
}

/// A subject that listens.
pub(crate) struct RunningHttp {
    process: Arc<Child>,
    address: SocketAddr,
    path: &'static str,
}

impl RunningHttp {
    pub(crate) async fn connect(&self) -> Result<McpClient> {
        let client = HttpClient::connect(self.address, self.path, Some(Arc::clone(&self.process))).await?;
        Ok(McpClient::Http(client))
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }
}

/// Starts a program that is given its port, and waits until it listens.
async fn listening(mut command: Command, port: u16, path: &'static str) -> Result<RunningHttp> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let process = Arc::new(command.spawn()?);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listens = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(START_TIMEOUT, listens).await.map_err(|_| format!("{command:?} does not listen"))?;
    Ok(RunningHttp { process, address, path })
}

pub(crate) async fn first_line(stream: impl AsyncRead + Unpin + Send + 'static) -> Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let line = timeout(START_TIMEOUT, lines.next_line()).await??.ok_or("the subject ended at once")?;
    // Read on, so that the subject never waits for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(line)
}

async fn free_port() -> Result<u16> {
    Ok(tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

fn peer_program() -> Result<PathBuf> {
    crate::measure::sibling_program("mcp_peer")
}
