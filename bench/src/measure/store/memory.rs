//! The memory of a gateway for each session that only other gateways have open, and for each that it has open itself.

use std::alloc::System;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stats_alloc::StatsAlloc;
use tokio::process::Command;
use tokio::runtime::Builder;
use valetkey_core::SessionId;
use valetkey_mcp::http::SharedSessions;
use valetkey_store::{
    Change, ClientHandle, KeyRing, RecordGeneration, RecordLifetime, RecordOwner, RedisStore,
    SessionContents, SessionStore,
};

use crate::Result;
use crate::fleet::client::ToolClient;
use crate::fleet::node::BenchNode;
use crate::fleet::store::BenchStore;
use crate::goal::Goal;
use crate::measure::sibling_program;
use crate::profile::BenchProfile;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;

const TITLE: &str = "Memory of a gateway for sessions in the store";
const METHOD: &str = "A separate process with one gateway and a counting allocator. 10,000 sessions are opened in the \
    store and changed once, as by other gateways; this one reads the event of each change. Then a client calls it once \
    in each of 1,000 of them. The figures are live bytes, divided by the sessions.";
const REMOTE: usize = 10_000;
const HELD: usize = 1_000;
/// Reads of events after which a gateway has read all events, and has freed what it needed for that.
const SETTLING_READS: u64 = 4;

/// Bytes for each session.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct StoreMemory {
    remote: f64,
    held: f64,
}

pub(super) async fn measure(store: &BenchStore, profile: BenchProfile) -> Result<Section> {
    let mut section = Section::new(TITLE, METHOD);
    let (mut remote, mut held) = (Rounds::default(), Rounds::default());
    for _ in 0..profile.herd_rounds {
        let mut command = Command::new(sibling_program("counted")?);
        command.args(["store", &store.url(), &profile.size_divisor.to_string()]);
        let output = command.output().await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let memory: StoreMemory = serde_json::from_slice(&output.stdout)?;
        remote.push(memory.remote);
        held.push(memory.held);
    }
    let figure = Figure::new("memory of a session that it does not have open", "valetkey", "B", &remote);
    // What the allocator and the connections keep is not proportional to the sessions.
    section.push(figure.with_goal(Goal::AtMost(1.0)));
    section.push(Figure::new("memory of a session that it has open", "valetkey", "B", &held));
    Ok(section)
}

/// Measures in the separate process.
pub(crate) fn measure_process(
    allocator: &StatsAlloc<System>,
    url: &str,
    divisor: usize,
) -> Result<StoreMemory> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure_gateway(allocator, url, divisor))
}

async fn measure_gateway(allocator: &StatsAlloc<System>, url: &str, divisor: usize) -> Result<StoreMemory> {
    let ring = KeyRing::generate()?;
    let others = RecordWriter { store: connect(url).await?, ring: ring.clone() };
    let node = BenchNode::start(Some(SharedSessions::new(connect(url).await?, ring)), None).await?;
    let live = || {
        let stats = allocator.stats();
        stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
    };
    // Buffers and caches of the connections get their size.
    let mut client = node.client();
    for session in others.open(REMOTE / divisor / 10).await?.iter().take(10) {
        open_on_node(&mut client, session).await?;
    }
    settle(&node).await;
    let before = live();
    let opened = others.open(REMOTE / divisor).await?;
    settle(&node).await;
    let (handles, remote) = (opened.iter().map(String::capacity).sum::<usize>(), live() - before);
    // The handles and their list belong to the client.
    let own = handles + opened.capacity() * size_of::<String>();
    let held: Vec<&String> = opened.iter().take(HELD / divisor).collect();
    let before_held = live();
    for session in &held {
        open_on_node(&mut client, session).await?;
    }
    settle(&node).await;
    let memory = StoreMemory {
        remote: (remote - own as f64) / opened.len() as f64,
        held: (live() - before_held) / held.len() as f64,
    };
    drop(held);
    node.stop().await?;
    Ok(memory)
}

/// Makes a call, with which the gateway opens the session. It has no credentials.
async fn open_on_node(client: &mut ToolClient, session: &str) -> Result<()> {
    match client.status(session).await?.key() {
        "not_configured" => Ok(()),
        other => Err(format!("the gateway returned `{other}`").into()),
    }
}

async fn connect(url: &str) -> Result<RedisStore> {
    Ok(RedisStore::builder(url.into()).connect().await?)
}

async fn settle(node: &BenchNode) {
    let target = node.event_reads() + SETTLING_READS;
    while node.event_reads() < target {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Opens and changes sessions in the store as a gateway does, without one.
struct RecordWriter {
    store: RedisStore,
    ring: KeyRing,
}

impl RecordWriter {
    /// Returns the handles.
    async fn open(&self, count: usize) -> Result<Vec<String>> {
        let owner = RecordOwner::new("", "bench".parse()?);
        let lifetime = RecordLifetime { idle: Duration::from_secs(600), total: Duration::from_secs(3_600) };
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let handle = ClientHandle::random()?;
            let contents = SessionContents::new(SessionId::random()).to_bytes()?;
            let first = self.ring.seal(&handle, &owner, RecordGeneration::FIRST, &contents)?;
            self.store.create(handle.id(), &first, lifetime).await?;
            let next = RecordGeneration::FIRST.next();
            let changed = self.ring.seal(&handle, &owner, next, &contents)?;
            self.store.save(handle.id(), RecordGeneration::FIRST, &changed, Change::Rotated).await?;
            handles.push(expose(&handle));
        }
        Ok(handles)
    }
}

fn expose(handle: &ClientHandle) -> String {
    use valetkey_core::ExposeSecret;
    handle.expose().expose_secret().to_owned()
}
