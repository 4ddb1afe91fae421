//! A Redis server of the machine: no index that the rig installs from has one.

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use crate::{Error, Result, folder::RunDir, port::Port, programs, readiness::wait_ready};

/// A paused server takes connections, and responds to none.
const PING_TIMEOUT: Duration = Duration::from_secs(30);
/// The size of a reply that is read, in bytes.
const MAX_REPLY: usize = 64 * 1024;
const PEER: &str = "redis-server";

/// The path of `redis-server` on `PATH`, or [`Error::NoRedis`].
pub fn redis_server() -> Result<PathBuf> {
    programs(&[PEER]).into_iter().next().ok_or(Error::NoRedis)
}

/// The path of `valkey-server` on `PATH`, or [`Error::NoRedis`].
pub fn valkey_server() -> Result<PathBuf> {
    programs(&["valkey-server"]).into_iter().next().ok_or(Error::NoRedis)
}

/// A running Redis server on a free loopback port, without any file of the machine's own configuration. Dropping the
/// handle kills it.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    arguments: Vec<String>,
    child: Child,
    port: Port,
    folder: RunDir,
}

impl Redis {
    /// Starts a server that writes every command to disk before it responds, with further arguments.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_program(redis_server()?, arguments).await
    }

    /// Starts `program`, which takes the arguments of `redis-server`.
    pub async fn start_program(program: PathBuf, arguments: &[&str]) -> Result<Self> {
        let (folder, port) = (RunDir::create(PEER)?, Port::reserve()?);
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let child = spawn(&program, &folder, &port, &arguments)?;
        let mut server = Self { program, arguments, child, port, folder };
        server.wait_ready().await?;
        Ok(server)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://{}:{}/", Ipv4Addr::LOCALHOST, self.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder with its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it (SIGKILL), as a crash does.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.map_err(Error::io("killing redis-server"))
    }

    /// Starts it again on its port, with the data that it has written.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.program, &self.folder, &self.port, &self.arguments)?;
        self.wait_ready().await
    }

    /// Stops its process (SIGSTOP): connections stay open, and get no response.
    pub async fn pause(&self) -> Result<()> {
        self.signal("-STOP").await
    }

    /// Lets a paused process continue.
    pub async fn resume(&self) -> Result<()> {
        self.signal("-CONT").await
    }

    /// Runs one command, and returns the response as the server sends it, up to 64 KiB.
    pub async fn command(&self, arguments: &[&str]) -> Result<String> {
        run_command(self.port(), arguments).await.map_err(Error::io("running a command of redis-server"))
    }

    /// Ends it and removes its folder.
    pub async fn stop(mut self) -> Result<()> {
        self.kill().await?;
        self.folder.remove()
    }

    async fn signal(&self, signal: &str) -> Result<()> {
        let Some(pid) = self.child.id() else { return Ok(()) };
        let sent = Command::new("kill").arg(signal).arg(pid.to_string()).status().await;
        sent.map(|_status| ()).map_err(Error::io("sending a signal to redis-server"))
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let port = self.port();
        let is_ready = async || {
            let reply = timeout(PING_TIMEOUT, run_command(port, &["PING"])).await;
            // A server that requires a password is ready, too.
            matches!(reply, Ok(Ok(text)) if text.starts_with("+PONG") || text.contains("NOAUTH"))
        };
        wait_ready(PEER, &mut self.child, &self.folder, "no answer to PING", is_ready).await
    }
}

/// Runs one command on a connection of its own.
async fn run_command(port: u16, arguments: &[&str]) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let mut request = format!("*{}\r\n", arguments.len());
    for argument in arguments {
        request.push_str(&format!("${}\r\n{argument}\r\n", argument.len()));
    }
    stream.write_all(request.as_bytes()).await?;
    let mut reply = vec![0; MAX_REPLY];
    let length = stream.read(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply[..length]).into_owned())
}

fn spawn(program: &Path, folder: &RunDir, port: &Port, arguments: &[String]) -> Result<Child> {
    folder
        .machine_command(program)?
        .args(["--bind", "127.0.0.1", "--port"])
        .arg(port.number().to_string())
        .args(["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .spawn()
        .map_err(Error::io("starting redis-server"))
}
