//! A started program: waits until it responds, and stops it when the handle is dropped.

use std::{path::PathBuf, process::Stdio};

use tokio::process::{Child, Command};

use crate::{
    Error, Result, Venv, folder::RunDir, http, port::Port, readiness::wait_ready, venv::scripts_dir,
};

#[derive(Debug)]
pub(crate) struct Peer {
    name: &'static str,
    child: Child,
    folder: RunDir,
    port: Port,
}

/// The program to start, and the path that returns 200 once it is ready.
pub(crate) struct PeerSpec {
    pub(crate) name: &'static str,
    pub(crate) venv: Venv,
    pub(crate) program: PathBuf,
    pub(crate) ready_path: &'static str,
}

impl Peer {
    /// Starts the program as `configure` says, and returns when it is ready.
    pub(crate) async fn start(
        launch: PeerSpec,
        configure: impl FnOnce(&mut Command, &Port, &RunDir),
    ) -> Result<Self> {
        let (folder, port) = (RunDir::create(launch.name)?, Port::reserve()?);
        let log = folder.open_log()?;
        let errors = log.try_clone().map_err(Error::io("sharing a peer's log"))?;
        let mut command = folder.command(launch.venv, "python")?;
        // The program exits when its pipe closes, so a killed test leaves no peer behind.
        command.arg(scripts_dir().join("exit_with_stdin.py")).arg(launch.program);
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        configure(&mut command, &port, &folder);
        let child = command.spawn().map_err(Error::io(format!("starting {}", launch.name)))?;
        let mut peer = Self { name: launch.name, child, folder, port };
        peer.wait_ready(launch.ready_path).await?;
        Ok(peer)
    }

    pub(crate) fn url(&self) -> String {
        self.port.url()
    }

    pub(crate) fn folder(&self) -> &RunDir {
        &self.folder
    }

    /// Sends an HTTP request and expects status 200.
    pub(crate) async fn request(&self, request: &str, body: &str) -> Result<String> {
        let answer = http::send_request(self.port.number(), request, body).await;
        let answer = answer.map_err(Error::io(format!("asking {} {request}", self.name)))?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(Error::Answer {
                peer: self.name,
                request: request.to_owned(),
                status: status.to_string(),
            }),
        }
    }

    /// Ends it and removes its folder.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.map_err(Error::io(format!("stopping {}", self.name)))?;
        self.folder.remove()
    }

    async fn wait_ready(&mut self, path: &str) -> Result<()> {
        let (port, request) = (self.port.number(), format!("GET {path}"));
        let is_ready = async || {
            let answer = http::send_request(port, &request, "").await;
            answer.is_ok_and(|answer| answer.status == 200)
        };
        let otherwise = format!("no answer to {request}");
        wait_ready(self.name, &mut self.child, &self.folder, &otherwise, is_ready).await
    }
}
