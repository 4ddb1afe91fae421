//! MiniStack: a strict emulator of AWS, which enforces expiry, signatures, trust, external ids and policies.

use crate::{
    AccessKey, Result, Seed, Venv,
    peer::{Peer, PeerSpec},
    seed,
};

const SEEDED_SERVICES: [&str; 4] = ["sts", "iam", "s3", "secretsmanager"];

/// A running MiniStack with authentication on.
#[derive(Debug)]
pub struct MiniStack {
    peer: Peer,
}

impl MiniStack {
    /// Starts one on a free loopback port, empty, with the services that [`Seed`] uses.
    pub async fn start() -> Result<Self> {
        Self::start_with_services(&[]).await
    }

    /// Starts one with further services. CloudTrail records every request.
    pub async fn start_with_services(further: &[&str]) -> Result<Self> {
        let services = [&SEEDED_SERVICES[..], further].concat().join(",");
        let (venv, program) = (Venv::MiniStack, Venv::MiniStack.program("ministack")?);
        let launch = PeerSpec { name: "ministack", venv, program, ready_path: "/_ministack/health" };
        let peer = Peer::start(launch, |command, port, _| {
            command.envs([
                ("AUTH", "true"),
                ("BIND_HOST", "127.0.0.1"),
                ("SERVICES", &services),
                ("CLOUDTRAIL_RECORDING", "1"),
                ("PERSIST_STATE", "0"),
            ]);
            command.env("GATEWAY_PORT", port.number().to_string());
        });
        Ok(Self { peer: peer.await? })
    }

    /// Its endpoint: the value of `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        self.peer.url()
    }

    /// The all-powerful key of an account, by which a test changes what a role may do.
    pub fn root(account: &str) -> AccessKey {
        AccessKey { access_key_id: account.to_owned(), secret_access_key: "test".to_owned() }
    }

    /// Makes a broker account and two tenant accounts: see [`Seed`].
    pub async fn seed(&self) -> Result<Seed> {
        seed::seed_accounts(&self.url()).await
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        self.peer.stop().await
    }
}
