//! The time from a clear on one gateway until every gateway of the fleet serves the session without credentials.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Percentiles;
use crate::Result;
use crate::fleet::client::ToolClient;
use crate::fleet::node::BenchNode;
use crate::fleet::store::BenchStore;
use crate::goal::Goal;
use crate::profile::BenchProfile;
use crate::results::{Figure, Section};

const TITLE: &str = "A clear in a fleet";
const METHOD: &str = "All gateways have the session open. A client clears it on one of them; clients of the others read \
    its status every millisecond. The time is that from the request until the last of them has no credentials. All \
    gateways, their clients and Redis share two cores.";
const FLEETS: [usize; 2] = [3, 10];
const CLEARS: usize = 100;
const QUICK_CLEARS: usize = 5;
const POLL_INTERVAL: Duration = Duration::from_millis(1);
const CLEARED: &str = "not_configured";

pub(super) async fn measure(store: &BenchStore, profile: BenchProfile) -> Result<Section> {
    let mut section = Section::new(TITLE, METHOD);
    let clears = if profile.size_divisor == 1 { CLEARS } else { QUICK_CLEARS };
    for size in FLEETS {
        let nodes = store.start_nodes(size, None).await?;
        let mut times = Percentiles::of_unit(Duration::from_millis(1));
        for _ in 0..profile.rounds {
            times.push(measure_clears(&nodes, clears).await?);
        }
        let name = |quantile: &str| format!("until a clear is felt, {size} gateways: {quantile}");
        let median = Figure::new(name("p50"), "valetkey", "ms", &times.median);
        section.push(median.with_goal(Goal::AtMost(50.0)));
        let tail = Figure::new(name("p99"), "valetkey", "ms", &times.tail);
        section.push(tail.with_goal(Goal::AtMost(2_000.0)));
        for node in nodes {
            node.stop().await?;
        }
    }
    Ok(section)
}

async fn measure_clears(nodes: &[BenchNode], clears: usize) -> Result<Vec<Duration>> {
    let mut first = nodes[0].client();
    let session = first.create().await?;
    let mut times = Vec::with_capacity(clears);
    for _ in 0..clears {
        first.set(&session, "AAAA", None).await?.into_content()?;
        for node in nodes {
            until_key(node.client(), session.clone(), "AAAA").await?;
        }
        let others: Vec<_> = nodes[1..]
            .iter()
            .map(|node| tokio::spawn(until_key(node.client(), session.clone(), CLEARED)))
            .collect();
        let start = Instant::now();
        first.call_in(&session, "clear_credential_context", json!({})).await?.into_content()?;
        let mut last = start;
        for other in others {
            last = last.max(other.await??);
        }
        times.push(last - start);
    }
    Ok(times)
}

/// Returns when the session had this key.
async fn until_key(mut client: ToolClient, session: String, key: &str) -> Result<Instant> {
    while client.status(&session).await?.key() != key {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(Instant::now())
}
