//! Clauses on leases: one node at a time, for one generation.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{ENDS_WITHIN, LASTING, LONG, POLL_INTERVAL, SHORT, Subject, Verdict, collect, describe, require};
use crate::{Change, Lease, LeaseOutcome, NodeId, RecordGeneration, SessionStore, StoreError};

const FIRST: RecordGeneration = RecordGeneration::FIRST;

pub(super) async fn faults(store: &dyn SessionStore) -> Vec<String> {
    collect([
        check_exclusive(store).await,
        check_release(store).await,
        check_end(store).await,
        check_superseded(store).await,
    ])
}

async fn check_exclusive(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let (leader, other) = (node()?, node()?);
    let lease = Lease { id: subject.id(), generation: FIRST, node: leader };
    let request = async |node| store.lease(subject.id(), FIRST, node, LONG).await.map_err(describe);
    require(request(leader).await? == LeaseOutcome::Granted(lease), "the first node gets the lease")?;
    require(request(leader).await? == LeaseOutcome::Granted(lease), "a node gets its lease again")?;
    let held = request(other).await?;
    let is_held =
        matches!(held, LeaseOutcome::Held { remaining } if Duration::ZERO < remaining && remaining <= LONG);
    require(is_held, "another node learns the remaining time of the lease")
}

async fn check_release(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let (leader, other) = (node()?, node()?);
    let request = async |node| store.lease(subject.id(), FIRST, node, LONG).await.map_err(describe);
    let LeaseOutcome::Granted(lease) = request(leader).await? else {
        return Err("the first node gets the lease".to_owned());
    };
    store.release(&Lease { node: other, ..lease }).await.map_err(describe)?;
    let held = matches!(request(other).await?, LeaseOutcome::Held { .. });
    require(held, "a node releases only its own lease")?;
    store.release(&lease).await.map_err(describe)?;
    let granted = matches!(request(other).await?, LeaseOutcome::Granted(_));
    require(granted, "a released lease is granted to the next node")?;
    store.release(&lease).await.map_err(describe)?;
    let held = matches!(request(leader).await?, LeaseOutcome::Held { .. });
    require(held, "a late release does not end the lease of the next node")
}

/// A leader that is gone does not hold up the others.
async fn check_end(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    store.lease(subject.id(), FIRST, node()?, SHORT).await.map_err(describe)?;
    let (other, deadline) = (node()?, Instant::now() + ENDS_WITHIN);
    while Instant::now() < deadline {
        let outcome = store.lease(subject.id(), FIRST, other, LONG).await.map_err(describe)?;
        if matches!(outcome, LeaseOutcome::Granted(_)) {
            return Ok(());
        }
        sleep(POLL_INTERVAL).await;
    }
    Err("a lease ends after its lifetime".to_owned())
}

async fn check_superseded(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    store.lease(subject.id(), FIRST, node()?, LONG).await.map_err(describe)?;
    let second = subject.seal(2, "second")?;
    store.save(subject.id(), FIRST, &second, Change::Rotated).await.map_err(describe)?;
    let late = store.lease(subject.id(), FIRST, node()?, LONG).await;
    let superseded = Err(StoreError::Superseded { current: second.generation() });
    require(late == superseded, "a lease on an earlier generation is refused")?;
    let next = store.lease(subject.id(), second.generation(), node()?, LONG).await.map_err(describe)?;
    require(matches!(next, LeaseOutcome::Granted(_)), "a save ends the lease")?;
    store.close(subject.id()).await.map_err(describe)?;
    let closed = store.lease(subject.id(), second.generation(), node()?, LONG).await;
    require(closed == Err(StoreError::NoSession), "a closed record is not leased")
}

fn node() -> Result<NodeId, String> {
    NodeId::random().map_err(describe)
}
