//! `BenchStore`: a Redis server of this machine, and the ring that seals the sessions in it.

use std::sync::Arc;

use valetkey_core::CredentialProvider;
use valetkey_mcp::http::SharedSessions;
use valetkey_rig::Redis;
use valetkey_store::{KeyRing, RedisStore};

use super::node::BenchNode;
use crate::Result;

/// Writes to disk each second, as a server with `appendonly yes` does by default.
const ARGUMENTS: [&str; 2] = ["--appendfsync", "everysec"];

pub(crate) struct BenchStore {
    redis: Redis,
    ring: KeyRing,
}

impl BenchStore {
    pub(crate) async fn start() -> Result<Self> {
        Ok(Self { redis: Redis::start(&ARGUMENTS).await?, ring: KeyRing::generate()? })
    }

    /// Starts a gateway with connections of its own.
    pub(crate) async fn start_node(
        &self,
        provider: Option<Arc<dyn CredentialProvider>>,
    ) -> Result<BenchNode> {
        let store = RedisStore::builder(self.redis.url().into()).connect().await?;
        BenchNode::start(Some(SharedSessions::new(store, self.ring.clone())), provider).await
    }

    pub(crate) async fn start_nodes(
        &self,
        count: usize,
        provider: Option<&Arc<dyn CredentialProvider>>,
    ) -> Result<Vec<BenchNode>> {
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(self.start_node(provider.cloned()).await?);
        }
        Ok(nodes)
    }

    /// Returns a number that the server reports of itself.
    pub(crate) async fn read_info(&self, section: &str, field: &str) -> Result<f64> {
        let text = self.redis.command(&["INFO", section]).await?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.ok_or_else(|| format!("the server does not report `{field}`"))?.trim().parse()?)
    }

    pub(crate) fn url(&self) -> String {
        self.redis.url()
    }

    pub(crate) async fn stop(self) -> Result<()> {
        Ok(self.redis.stop().await?)
    }
}
