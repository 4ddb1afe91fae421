//! `Scenario`: the sessions, the nodes and the incidents of one simulated day.

use crate::{DAY, HOUR, MINUTE, Millis, SECOND};

/// A time in which something does not respond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The first instant.
    pub from: Millis,
    /// The first instant after it.
    pub until: Millis,
}

impl Outage {
    /// Returns whether the outage lasts at `now`.
    #[must_use]
    pub fn contains(&self, now: Millis) -> bool {
        (self.from..self.until).contains(&now)
    }
}

/// A node that ends. Its sessions are opened again on the other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLoss {
    /// When the node ends.
    pub at: Millis,
    /// Within this time each of its sessions is used again, by a request that a load balancer sends to another node.
    pub used_within: Millis,
}

/// One simulated day.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name in reports.
    pub name: &'static str,
    /// How many sessions are open, each with one role.
    pub sessions: u32,
    /// How many nodes hold them, in equal parts.
    pub nodes: u16,
    /// The lifetime of credentials.
    pub lifetime: Millis,
    /// Within this time all sessions are opened, at a constant rate.
    pub opened_within: Millis,
    /// Whether the advisory window of each session is widened at random.
    pub has_jitter: bool,
    /// How many credentials STS issues in a second.
    pub sts_quota: u32,
    /// When STS does not respond.
    pub sts_outages: Vec<Outage>,
    /// When the store does not accept writes, so that no node can take the lease of a refresh.
    pub store_outages: Vec<Outage>,
    /// The node that ends, if one does.
    pub node_loss: Option<NodeLoss>,
    /// When the simulation ends.
    pub until: Millis,
    /// The seed of all randomness.
    pub seed: u64,
}

/// The default quota of STS for one account in one Region, for all its operations together: "IAM and AWS STS quotas".
pub const STS_QUOTA: u32 = 600;

impl Scenario {
    /// A day without incidents: sessions with credentials of an hour on 20 nodes, opened within half an hour, and the
    /// default quota.
    #[must_use]
    pub fn calm(sessions: u32) -> Self {
        Self {
            name: "calm",
            sessions,
            nodes: 20,
            lifetime: HOUR,
            opened_within: 30 * MINUTE,
            has_jitter: true,
            sts_quota: STS_QUOTA,
            sts_outages: vec![],
            store_outages: vec![],
            node_loss: None,
            until: DAY,
            seed: 7,
        }
    }

    /// The days of a report. In a burst, a tenth of the sessions is opened within three minutes.
    #[must_use]
    pub fn all(sessions: u32) -> Vec<Self> {
        let calm = Self::calm(sessions);
        let burst =
            Self { name: "burst", sessions: sessions / 10, opened_within: 3 * MINUTE, ..calm.clone() };
        let incidents = Self {
            sts_outages: vec![outage(8 * HOUR, 10 * MINUTE), outage(12 * HOUR, 30 * MINUTE)],
            store_outages: vec![outage(20 * HOUR, MINUTE)],
            node_loss: Some(NodeLoss { at: 16 * HOUR, used_within: MINUTE }),
            ..calm.clone()
        };
        vec![
            calm.clone(),
            Self { name: "calm, without jitter", has_jitter: false, ..calm.clone() },
            burst.clone(),
            Self { name: "burst, without jitter", has_jitter: false, ..burst },
            Self { name: "incidents", ..incidents.clone() },
            Self { name: "incidents, without jitter", has_jitter: false, ..incidents.clone() },
            Self { name: "incidents, twice the quota", sts_quota: 2 * STS_QUOTA, ..incidents.clone() },
            Self { name: "incidents, credentials of 12 h", lifetime: 12 * HOUR, ..incidents },
        ]
    }
}

fn outage(from: Millis, duration: Millis) -> Outage {
    Outage { from, until: from + duration }
}

/// The latency of STS: 30 to 120 ms.
pub fn latency(random: &mut fastrand::Rng) -> Millis {
    random.u32(30..=120)
}

/// How soon a session in use is called again: within 10 seconds.
pub fn next_call(random: &mut fastrand::Rng) -> Millis {
    random.u32(0..=10 * SECOND)
}
