//! `StdioClient`: a subject as a child process, with one JSON message for each line.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Result;

pub(crate) struct StdioClient {
    /// Killed when this value is dropped.
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: Vec<u8>,
}

impl StdioClient {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let input = process.stdin.take().ok_or("the child has no input")?;
        let output = process.stdout.take().ok_or("the child has no output")?;
        Ok(Self { _process: process, input, output: BufReader::new(output), line: Vec::new() })
    }

    pub(crate) async fn send(&mut self, message: &str) -> Result<()> {
        self.input.write_all(format!("{message}\n").as_bytes()).await?;
        Ok(())
    }

    /// Sends a request and returns the next response. Notifications are skipped.
    pub(crate) async fn send_request(&mut self, message: &str) -> Result<Vec<u8>> {
        self.send(message).await?;
        self.receive().await
    }

    /// Returns the next response.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>> {
        loop {
            self.line.clear();
            if self.output.read_until(b'\n', &mut self.line).await? == 0 {
                return Err("the subject ended".into());
            }
            if !self.line.windows(8).any(|part| part == b"\"method\"") {
                return Ok(std::mem::take(&mut self.line));
            }
        }
    }
}
