//! `SoakFleet`: three gateway processes with one Redis server, each of which can be lost and replaced.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::sync::{Mutex, RwLock};
use valetkey_core::ExposeSecret;
use valetkey_rig::Redis;
use valetkey_store::KeyRing;

use crate::Result;
use crate::gateway::load::anonymous_memory;
use crate::gateway::subjects::{first_line, principal_settings};

/// Below the limit of one principal.
pub(super) const SESSIONS_PER_PRINCIPAL: usize = 40;
pub(super) const NODES: usize = 3;

pub(super) struct SoakFleet {
    program: PathBuf,
    folder: PathBuf,
    redis: Mutex<Redis>,
    nodes: [RwLock<Option<Node>>; NODES],
}

struct Node {
    process: Child,
    address: SocketAddr,
}

impl SoakFleet {
    pub(super) async fn start(program: &Path, sessions: usize) -> Result<Self> {
        let redis = Redis::start(&[]).await?;
        let folder = std::env::temp_dir().join(format!("valetkey-soak-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let ring = KeyRing::generate()?.expose_document();
        std::fs::write(folder.join("ring.json"), ring.expose_secret())?;
        let principals = principal_settings(sessions.div_ceil(SESSIONS_PER_PRINCIPAL));
        let settings = format!(
            "[accounts.dev]\nprovider = 'memory'\n{principals}[store]\nurl = '{}'\nkey_ring_file = 'ring.json'\n",
            redis.url()
        );
        std::fs::write(folder.join("valetkey.toml"), settings)?;
        let nodes = std::array::from_fn(|_| RwLock::new(None));
        let fleet = Self { program: std::path::absolute(program)?, folder, redis: Mutex::new(redis), nodes };
        for node in 0..NODES {
            fleet.start_node(node).await?;
        }
        Ok(fleet)
    }

    async fn start_node(&self, index: usize) -> Result<()> {
        let mut process = Command::new(&self.program)
            .args(["serve", "--config", "valetkey.toml", "--http", "127.0.0.1:0"])
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", &self.folder)
            .env("XDG_RUNTIME_DIR", &self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let errors = process.stderr.take().ok_or("valetkey has no standard error")?;
        let line = first_line(errors).await?;
        let address = line.strip_prefix("serving MCP at http://").and_then(|line| line.strip_suffix("/mcp"));
        let address = address.ok_or_else(|| format!("valetkey printed {line}"))?.parse()?;
        *self.nodes[index].write().await = Some(Node { process, address });
        Ok(())
    }

    /// Returns the address of a gateway, or `None` while it is lost.
    pub(super) async fn address(&self, index: usize) -> Option<SocketAddr> {
        self.nodes[index].read().await.as_ref().map(|node| node.address)
    }

    /// Kills a gateway, and starts another one in its place.
    pub(super) async fn replace_node(&self, index: usize) -> Result<()> {
        if let Some(mut node) = self.nodes[index].write().await.take() {
            node.process.kill().await?;
        }
        self.start_node(index).await
    }

    pub(super) const fn redis(&self) -> &Mutex<Redis> {
        &self.redis
    }

    /// Reads the memory of each gateway.
    pub(super) async fn memory(&self) -> Result<FleetMemory> {
        let mut memory = Vec::new();
        for node in &self.nodes {
            let pid = node.read().await.as_ref().and_then(|node| node.process.id());
            memory.push(anonymous_memory(pid.ok_or("a gateway is not running")?)?);
        }
        Ok(FleetMemory(memory))
    }

    pub(super) async fn stop(&self) -> Result<()> {
        for node in &self.nodes {
            if let Some(mut node) = node.write().await.take() {
                node.process.kill().await?;
            }
        }
        self.redis.lock().await.kill().await?;
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }
}

/// The anonymous memory of each gateway, in bytes.
pub(super) struct FleetMemory(Vec<f64>);

impl FleetMemory {
    /// Returns how many times the memory of the first gateway has grown since `before`.
    pub(super) fn growth_since(&self, before: &Self) -> f64 {
        self.0.first().zip(before.0.first()).map_or(1.0, |(now, before)| now / before)
    }
}

impl fmt::Display for FleetMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<_> = self.0.iter().map(|bytes| format!("{:.1} MB", bytes / 1e6)).collect();
        f.write_str(&each.join(", "))
    }
}
