//! Refreshes for each session of a fleet, all of whose gateways need new credentials at once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use valetkey_core::CredentialProvider;

use crate::Result;
use crate::competitors::valetkey::UpstreamProvider;
use crate::fake_source::{Script, Upstream};
use crate::fleet::client::ToolClient;
use crate::fleet::store::BenchStore;
use crate::goal::Goal;
use crate::profile::BenchProfile;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;

const TITLE: &str = "Refreshes in a fleet";
const METHOD: &str = "Gateways with one Redis server, each of which has 20 sessions open. In each round, all gateways \
    refresh all sessions at once. A fetch takes 50 ms. The figure is the number of fetches for each session.";
const FLEETS: [usize; 3] = [1, 3, 10];
const SESSIONS: usize = 20;
const FETCH_TIME: Duration = Duration::from_millis(50);

pub(super) async fn measure(store: &BenchStore, profile: BenchProfile) -> Result<Section> {
    let mut section = Section::new(TITLE, METHOD);
    for size in FLEETS {
        let rounds = measure_fleet(store, size, profile.rounds).await?;
        let name = format!("refreshes for each session, {size} gateways");
        section.push(Figure::new(name, "valetkey", "", &rounds).with_goal(Goal::Exactly(1.0)));
    }
    Ok(section)
}

async fn measure_fleet(store: &BenchStore, size: usize, rounds: usize) -> Result<Rounds> {
    let upstream = Upstream::new(Script { first_lifetime: None, call_time: FETCH_TIME, is_failing: false });
    let provider: Arc<dyn CredentialProvider> = Arc::new(UpstreamProvider(upstream.clone()));
    let nodes = store.start_nodes(size, Some(&provider)).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(nodes[0].client().create().await?);
    }
    let clients =
        || nodes.iter().flat_map(|node| sessions.iter().map(move |session| (node.client(), session.clone())));
    let mut fetches = Rounds::default();
    for round in 0..=rounds {
        let before = upstream.call_count();
        let tasks: Vec<_> =
            clients().map(|(client, session)| tokio::spawn(refresh(client, session))).collect();
        for task in tasks {
            task.await??;
        }
        // The first round opens the sessions on all gateways.
        if round > 0 {
            fetches.push((upstream.call_count() - before) as f64 / SESSIONS as f64);
        }
    }
    for node in nodes {
        node.stop().await?;
    }
    Ok(fetches)
}

async fn refresh(mut client: ToolClient, session: String) -> Result<()> {
    client.call_in(&session, "refresh_aws_credentials", json!({})).await?.into_content().map(drop)
}
