//! Calls in a session of the shared store, and in one that a gateway has alone.

use std::time::{Duration, Instant};

use super::Percentiles;
use crate::Result;
use crate::fleet::client::ToolClient;
use crate::fleet::node::BenchNode;
use crate::fleet::store::BenchStore;
use crate::profile::BenchProfile;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;

const TITLE: &str = "A call in a session of the shared store";
const METHOD: &str = "Three gateways in this process: one has its sessions in memory, two share a Redis server, which is \
    on the same two cores. A client calls each in turn, one call after another. Added is the figure of a round minus \
    that in memory in the same round. The operations of the store are those that the call makes; the other gateway has \
    the session open, and follows its changes.";
const IN_MEMORY: &str = "in memory";
const SHARED: &str = "in the store";
const CALLS: usize = 300;
const QUICK_CALLS: usize = 20;
/// For how long a gateway without calls is observed.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// A call that is measured.
#[derive(Clone, Copy)]
enum Kind {
    Create,
    FirstCall,
    Read,
    Set,
    Clear,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Create, "open a session"),
    (Kind::FirstCall, "first call on another gateway"),
    (Kind::Read, "read the status"),
    (Kind::Set, "set credentials"),
    (Kind::Clear, "clear"),
];

/// A client, the gateway that it calls, and a client of the gateway that has opened the session.
struct Subject<'a> {
    node: &'a BenchNode,
    client: ToolClient,
    opener: ToolClient,
    /// The calls that have set credentials. Each has another key.
    sets: usize,
}

pub(super) async fn measure(store: &BenchStore, profile: BenchProfile) -> Result<Section> {
    let (single, first, second) =
        (BenchNode::start(None, None).await?, store.start_node(None).await?, store.start_node(None).await?);
    let mut section = Section::new(TITLE, METHOD);
    let mut subjects = [
        Subject { node: &single, client: single.client(), opener: single.client(), sets: 0 },
        Subject { node: &second, client: second.client(), opener: first.client(), sets: 0 },
    ];
    let calls = if profile.size_divisor == 1 { CALLS } else { QUICK_CALLS };
    for (kind, name) in KINDS {
        let new = || Percentiles::of_unit(Duration::from_micros(1));
        let (mut times, mut operations) = ([new(), new()], [Rounds::default(), Rounds::default()]);
        for round in 0..=profile.rounds {
            for (index, subject) in subjects.iter_mut().enumerate() {
                let (measured, made) = subject.measure(kind, calls).await?;
                // The first round warms up.
                if round > 0 {
                    times[index].push(measured);
                    operations[index].push(made as f64 / calls as f64);
                }
            }
        }
        push_figures(&mut section, name, &times);
        section.push(Figure::new(format!("{name}: operations of the store"), SHARED, "", &operations[1]));
    }
    drop(subjects);
    for node in [single, first, second] {
        node.stop().await?;
    }
    section.push(idle_commands(store, profile).await?);
    Ok(section)
}

fn push_figures(section: &mut Section, name: &str, [memory, shared]: &[Percentiles; 2]) {
    for (quantile, of_memory, of_shared) in
        [("p50", &memory.median, &shared.median), ("p99", &memory.tail, &shared.tail)]
    {
        section.push(Figure::new(format!("{name}: {quantile}"), IN_MEMORY, "µs", of_memory));
        let figure = Figure::new(format!("{name}: {quantile}"), SHARED, "µs", of_shared);
        section.push(figure.with_reference(IN_MEMORY, &of_shared.ratio_to(of_memory)));
        let added = of_shared.minus(of_memory);
        section.push(Figure::new(format!("{name}: added, {quantile}"), SHARED, "µs", &added));
    }
}

impl Subject<'_> {
    /// Returns the times of the calls, and how many operations of the store they have made.
    async fn measure(&mut self, kind: Kind, calls: usize) -> Result<(Vec<Duration>, u64)> {
        let mut sessions = vec![self.opener.create().await?];
        self.opener.set(&sessions[0], "AAAA", None).await?.into_content()?;
        self.until_key(&sessions[0], "AAAA").await?;
        let (mut times, mut operations) = (Vec::with_capacity(calls), 0);
        for _ in 0..calls {
            self.prepare(kind, &mut sessions).await?;
            let (before, session) = (self.node.operations(), sessions[sessions.len() - 1].clone());
            let start = Instant::now();
            let opened = self.call(kind, &session).await?;
            times.push(start.elapsed());
            operations += self.node.operations() - before;
            sessions.extend(opened);
        }
        for session in sessions {
            let close = serde_json::json!({});
            self.client.call_in(&session, "close_credential_session", close).await?.into_content()?;
        }
        Ok((times, operations))
    }

    /// Brings the last session to the state in which it is called.
    async fn prepare(&mut self, kind: Kind, sessions: &mut Vec<String>) -> Result<()> {
        match kind {
            Kind::FirstCall => {
                let session = self.opener.create().await?;
                self.opener.set(&session, "AAAA", None).await?.into_content()?;
                sessions.push(session);
            }
            Kind::Clear => drop(self.client.set(&sessions[0], "AAAA", None).await?.into_content()?),
            Kind::Create | Kind::Read | Kind::Set => {}
        }
        Ok(())
    }

    async fn call(&mut self, kind: Kind, session: &str) -> Result<Option<String>> {
        let reply = match kind {
            Kind::Create => return self.client.create().await.map(Some),
            Kind::FirstCall | Kind::Read => self.client.status(session).await?,
            Kind::Set => {
                self.sets += 1;
                self.client.set(session, &format!("{:04}", self.sets % 10_000), None).await?
            }
            Kind::Clear => {
                let all = serde_json::json!({});
                self.client.call_in(session, "clear_credential_context", all).await?
            }
        };
        reply.into_content().map(|_content| None)
    }

    async fn until_key(&mut self, session: &str, key: &str) -> Result<()> {
        while self.client.status(session).await?.key() != key {}
        Ok(())
    }
}

/// Returns how many commands the server runs each second for a gateway that has no calls.
async fn idle_commands(store: &BenchStore, profile: BenchProfile) -> Result<Figure> {
    let node = store.start_node(None).await?;
    let mut rounds = Rounds::default();
    for _ in 0..profile.herd_rounds {
        let before = (store.read_info("stats", "total_commands_processed").await?, Instant::now());
        tokio::time::sleep(IDLE_TIME / profile.size_divisor as u32).await;
        let after = store.read_info("stats", "total_commands_processed").await?;
        rounds.push((after - before.0) / before.1.elapsed().as_secs_f64());
    }
    node.stop().await?;
    Ok(Figure::new("commands a second of a gateway without calls", SHARED, "", &rounds))
}
