//! Moto: a lenient emulator of AWS with many accounts.

use crate::{
    Result, Venv,
    peer::{Peer, PeerSpec},
};

/// A running moto server. It keeps accounts apart, but by default believes any key, signature and expiry.
#[derive(Debug)]
pub struct Moto {
    peer: Peer,
}

impl Moto {
    /// Starts one on a free loopback port.
    pub async fn start() -> Result<Self> {
        let program = Venv::Main.program("moto_server")?;
        let launch = PeerSpec { name: "moto", venv: Venv::Main, program, ready_path: "/moto-api/" };
        let peer = Peer::start(launch, |command, port, _| {
            command.args(["-H", "127.0.0.1", "-p", &port.number().to_string()]);
        });
        Ok(Self { peer: peer.await? })
    }

    /// Its endpoint: the value of `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        self.peer.url()
    }

    /// Deletes all state of the server.
    pub async fn reset(&self) -> Result<()> {
        self.peer.request("POST /moto-api/reset", "").await.map(drop)
    }

    /// Checks signatures and policies from the next request on, or stops checking them.
    pub async fn enforce_auth(&self, enabled: bool) -> Result<()> {
        let unchecked_requests = if enabled { "0" } else { "inf" };
        self.peer.request("POST /moto-api/reset-auth", unchecked_requests).await.map(drop)
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        self.peer.stop().await
    }
}
