//! Clauses on events: every change is reported, once, in order.

use std::time::Duration;

use tokio::join;

use super::{LASTING, LONG, Subject, Verdict, collect, describe, require};
use crate::{Change, EventBatch, RecordGeneration, RecordId, SessionStore, StoreEvent, StorePosition};

const FIRST: RecordGeneration = RecordGeneration::FIRST;

pub(super) async fn faults(store: &dyn SessionStore) -> Vec<String> {
    collect([check_order(store).await, check_wait(store).await, check_foreign_position(store).await])
}

async fn check_order(store: &dyn SessionStore) -> Verdict {
    let start = store.position().await.map_err(describe)?;
    let subject = Subject::created(store, LASTING).await?;
    let (id, second, third) = (subject.id(), subject.seal(2, "second")?, subject.seal(3, "third")?);
    store.save(id, FIRST, &second, Change::Rotated).await.map_err(describe)?;
    // Neither a repeated nor a refused save is a further change.
    store.save(id, FIRST, &second, Change::Rotated).await.map_err(describe)?;
    let _superseded = store.save(id, FIRST, &third, Change::Cleared).await;
    store.save(id, second.generation(), &third, Change::Cleared).await.map_err(describe)?;
    store.close(id).await.map_err(describe)?;

    let (events, end) = events_of(store, id, start, 3).await?;
    let saved = |generation, change| StoreEvent::Saved { id, generation, change };
    let expected = [
        saved(second.generation(), Change::Rotated),
        saved(third.generation(), Change::Cleared),
        StoreEvent::Closed { id },
    ];
    require(events == expected, "clause 5: every change is one event, in order")?;
    let rest = store.events_since(&end, Duration::ZERO).await.map_err(describe)?;
    require(of_record(&rest, id).is_empty(), "clause 5: no event is returned twice")
}

/// Reads until `count` events of the record have come, since a store may return them in parts.
async fn events_of(
    store: &dyn SessionStore,
    id: RecordId,
    mut position: StorePosition,
    count: usize,
) -> Result<(Vec<StoreEvent>, StorePosition), String> {
    let mut events = Vec::new();
    for _ in 0..100 {
        let batch = store.events_since(&position, Duration::ZERO).await.map_err(describe)?;
        require(batch.is_complete, "clause 5: the events since a recent position are complete")?;
        events.extend(of_record(&batch, id));
        position = batch.position;
        if events.len() >= count {
            break;
        }
    }
    Ok((events, position))
}

async fn check_wait(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let start = store.position().await.map_err(describe)?;
    let (batch, closed) = join!(store.events_since(&start, LONG), store.close(subject.id()));
    closed.map_err(describe)?;
    let batch = batch.map_err(describe)?;
    let events = of_record(&batch, subject.id());
    require(
        events == [StoreEvent::Closed { id: subject.id() }],
        "clause 5: `events_since` ends its wait with the next event",
    )
}

async fn check_foreign_position(store: &dyn SessionStore) -> Verdict {
    for text in ["", "of another store"] {
        let position = StorePosition::new(text);
        let batch = store.events_since(&position, Duration::ZERO).await.map_err(describe)?;
        require(!batch.is_complete, "clause 5: events since an unknown position are reported as incomplete")?;
        let next = store.events_since(&batch.position, Duration::ZERO).await.map_err(describe)?;
        require(next.is_complete, "clause 5: the position of an incomplete batch is usable")?;
    }
    Ok(())
}

fn of_record(batch: &EventBatch, record: RecordId) -> Vec<StoreEvent> {
    let is_of_record = |event: &StoreEvent| match event {
        StoreEvent::Saved { id, .. } | StoreEvent::Closed { id } => *id == record,
    };
    batch.events.iter().copied().filter(is_of_record).collect()
}
