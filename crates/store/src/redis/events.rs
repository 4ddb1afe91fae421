//! Events: one stream for each shard. A position is the epoch of the server and the last entry read of each stream.

use std::collections::HashMap;
use std::time::Duration;

use ::redis::Pipeline;
use tokio::time::Instant;

use super::connection::Connection;
use super::keys::Keys;
use super::scripts::EVENTS;
use crate::{Change, EventBatch, RecordGeneration, StoreError, StoreEvent, StorePosition};

/// The position before the first entry of a stream.
const START: &str = "0-0";
/// How long a wait blocks at most, so that it notices a server that is gone.
const MAX_BLOCK: Duration = Duration::from_secs(2);

const ROTATED: &str = "rotated";
const CLEARED: &str = "cleared";
const CLOSED: &str = "closed";

/// An entry of a stream: its id, and its fields.
type StreamEntry = (String, HashMap<String, String>);

pub(super) const fn change_code(change: Change) -> &'static str {
    match change {
        Change::Rotated => ROTATED,
        Change::Cleared => CLEARED,
    }
}

/// The parsed form of a position.
struct Cursor {
    epoch: String,
    /// The last entry read, by shard.
    read: Vec<String>,
}

impl Cursor {
    /// Returns `None` for a position of another store, or of a fleet with other shards.
    fn parse(position: &StorePosition, shards: usize) -> Option<Self> {
        let (epoch, read) = position.as_str().split_once(' ')?;
        let read: Vec<String> = read.split(' ').map(str::to_owned).collect();
        (read.len() == shards).then(|| Self { epoch: epoch.to_owned(), read })
    }

    fn to_position(&self) -> StorePosition {
        StorePosition::new(&format!("{} {}", self.epoch, self.read.join(" ")))
    }
}

/// Returns the position after the last entry of each stream.
pub(super) async fn position(connection: &Connection, keys: &Keys) -> Result<StorePosition, StoreError> {
    // First the epoch: an entry that a later server has is then read again.
    let epoch = connection.epoch().await?;
    let mut pipeline = ::redis::pipe();
    for stream in keys.all_events() {
        pipeline.cmd("XREVRANGE").arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    }
    let last: Vec<Vec<StreamEntry>> = connection.query_pipeline(&pipeline).await?;
    let read = last.into_iter().map(|entries| match entries.into_iter().next() {
        Some((id, _)) => id,
        None => START.to_owned(),
    });
    Ok(Cursor { epoch, read: read.collect() }.to_position())
}

/// Returns the events after `position`, or waits for one.
pub(super) async fn events_since(
    connection: &Connection,
    keys: &Keys,
    position: &StorePosition,
    wait: Duration,
) -> Result<EventBatch, StoreError> {
    let deadline = Instant::now() + wait.min(Duration::from_secs(24 * 3_600));
    let Some(mut cursor) = Cursor::parse(position, keys.shards()) else {
        return Ok(EventBatch {
            events: Vec::new(),
            position: self::position(connection, keys).await?,
            is_complete: false,
        });
    };
    loop {
        let batch = read(connection, keys, &mut cursor).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if !batch.events.is_empty() || !batch.is_complete || left.is_zero() {
            return Ok(batch);
        }
        let streams: Vec<String> = keys.all_events().collect();
        let has_entry = connection.wait_for_entry(&streams, &cursor.read, left.min(MAX_BLOCK)).await?;
        if !has_entry && left <= MAX_BLOCK {
            // Nothing is read twice while the store is idle: the next request begins by reading the streams.
            return Ok(batch);
        }
    }
}

/// Reads what the streams have, and moves the cursor.
async fn read(connection: &Connection, keys: &Keys, cursor: &mut Cursor) -> Result<EventBatch, StoreError> {
    let epoch = connection.epoch().await?;
    let mut pipeline = Pipeline::new();
    for (stream, last) in keys.all_events().zip(&cursor.read) {
        let mut command = EVENTS.on(&[stream]);
        command.arg(last);
        pipeline.add_command(command);
    }
    let replies: Vec<(u8, Vec<StreamEntry>)> = connection.query_pipeline(&pipeline).await?;
    let mut is_complete = epoch == cursor.epoch;
    cursor.epoch = epoch;
    let mut events = Vec::new();
    for ((complete, entries), last) in replies.into_iter().zip(&mut cursor.read) {
        is_complete &= complete == 1;
        for (id, fields) in entries {
            // An entry that cannot be read may be any change.
            match parse_event(&fields) {
                Some(event) => events.push(event),
                None => is_complete = false,
            }
            *last = id;
        }
    }
    if is_complete {
        return Ok(EventBatch { events, position: cursor.to_position(), is_complete });
    }
    // The last entries read may not exist in these streams: begin at their ends.
    Ok(EventBatch { events, position: position(connection, keys).await?, is_complete })
}

fn parse_event(fields: &HashMap<String, String>) -> Option<StoreEvent> {
    let id = fields.get("s")?.parse().ok()?;
    let change = match fields.get("c")?.as_str() {
        CLOSED => return Some(StoreEvent::Closed { id }),
        ROTATED => Change::Rotated,
        CLEARED => Change::Cleared,
        _ => return None,
    };
    let generation = RecordGeneration::new(fields.get("g")?.parse().ok()?);
    Some(StoreEvent::Saved { id, generation, change })
}
