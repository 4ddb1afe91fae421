//! A server in Python that prints its port, and that ends with its input.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{Error, Result};

/// A server in a process of its own, which is killed on drop.
#[derive(Debug)]
pub struct PythonServer {
    port: u16,
    _process: Child,
}

impl PythonServer {
    /// Starts `script` with the interpreter `python`, and reads the port from its first line.
    ///
    /// # Errors
    /// The interpreter cannot be started, or the script prints no port.
    pub async fn start<A: AsRef<OsStr>>(
        python: &Path,
        script: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut process = Command::new(python)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("starting a server"))?;
        let no_port = || Error::io("reading the port of a server")(std::io::ErrorKind::InvalidData.into());
        let output = process.stdout.take().ok_or_else(no_port)?;
        let line = BufReader::new(output).lines().next_line().await;
        let line = line.map_err(Error::io("reading the port of a server"))?.ok_or_else(no_port)?;
        Ok(Self { port: line.parse().map_err(|_| no_port())?, _process: process })
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}
