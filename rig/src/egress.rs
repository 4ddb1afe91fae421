//! Egress: a proxy that blocks outgoing traffic, serves the one host that a real server requires, and records the
//! requested hosts.

use crate::{
    Error, Result, Venv,
    peer::{Peer, PeerSpec},
    venv::scripts_dir,
};

const NAME: &str = "egress";

/// A running proxy.
#[derive(Debug)]
pub struct Egress {
    peer: Peer,
}

impl Egress {
    /// Starts one on a free loopback port, with a throw-away certificate.
    pub async fn start() -> Result<Self> {
        let program = scripts_dir().join("egress.py");
        let launch = PeerSpec { name: NAME, venv: Venv::Main, program, ready_path: "/hosts" };
        let peer = Peer::start(launch, |command, port, folder| {
            command.arg(port.number().to_string()).arg(folder.path());
        });
        Ok(Self { peer: peer.await? })
    }

    /// The variables that send a child's HTTPS through it; plain HTTP on loopback stays direct.
    pub fn env(&self) -> Vec<(String, String)> {
        let certificate = self.peer.folder().path().join("certificate.pem");
        let vars = [
            ("HTTPS_PROXY", self.peer.url()),
            ("REQUESTS_CA_BUNDLE", certificate.display().to_string()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ];
        vars.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// Returns the requested hosts, in order.
    pub async fn hosts(&self) -> Result<Vec<String>> {
        let request = "GET /hosts";
        let body = self.peer.request(request, "").await?;
        serde_json::from_str(&body).map_err(|error| Error::Answer {
            peer: NAME,
            request: request.to_owned(),
            status: error.to_string(),
        })
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        self.peer.stop().await
    }
}
