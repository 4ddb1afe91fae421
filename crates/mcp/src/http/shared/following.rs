//! The changes that other gateways make: this node follows them, and takes over what they saved.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;
use valetkey_core::{Result, SessionContext};
use valetkey_store::{
    Change, RecordError, RecordGeneration, RecordId, SessionNotice, StoreError, StorePosition,
};

use super::record::SessionRecord;
use super::{OpenRecord, SharedRecords, contents};
use crate::http::tenant::Tenant;
use crate::http::tenants::{TenantGuard, Tenants};

/// How long one request for events waits. A node that missed an event has compared its sessions after this time.
const EVENT_WAIT: Duration = Duration::from_secs(1);
/// The pause after a failure of the store.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// The idle time in the store starts again at most this many times in an idle time.
const TOUCHES: u32 = 8;

impl Tenants {
    /// Follows the changes of other nodes, until the future is dropped.
    pub(in crate::http) async fn keep_current(&self) {
        let Some(records) = &self.shared else { return std::future::pending().await };
        let mut position = None;
        let mut was_reached = true;
        loop {
            let followed = self.follow(records, &mut position).await;
            let is_reached = followed.is_ok();
            records.status.record_reached(is_reached);
            match followed {
                Ok(()) if !was_reached => tracing::info!("the session store is reached again"),
                Err(error) if was_reached => tracing::warn!(%error, "the session store is not reached"),
                _ => {}
            }
            was_reached = is_reached;
            if !is_reached {
                sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn follow(
        &self,
        records: &SharedRecords,
        position: &mut Option<StorePosition>,
    ) -> Result<(), StoreError> {
        self.save_pending_clears(records).await?;
        let position = match position {
            Some(position) => position,
            None => position.insert(records.store.position().await?),
        };
        // Sessions are opened only from here on, so that no event of one is missed.
        if !records.is_following.swap(true, Ordering::AcqRel) {
            records.status.record_reached(true);
        }
        let notices = records.known.catch_up(&*records.store, position, EVENT_WAIT).await?;
        for notice in notices {
            self.apply_notice(records, notice).await;
        }
        self.touch_used(records).await
    }

    async fn apply_notice(&self, records: &SharedRecords, notice: SessionNotice) {
        match notice {
            SessionNotice::Ended { id } => self.end(records, id),
            SessionNotice::Outdated { id, change } => {
                self.with_open(records, id, async |session, tenant, record| {
                    match change {
                        Change::Rotated => record.mark_changed(),
                        Change::Cleared => record.mark_cleared(|| {
                            session.clear();
                        }),
                    }
                    self.load_changes(records, session, tenant, record).await
                })
                .await;
            }
            SessionNotice::ClearLost { id, stored, latest } => {
                self.store_clear_again(records, id, stored, latest).await;
            }
        }
    }

    /// Runs `apply` with the session of a record that this node has open. A failure is reported by the next call, or by
    /// the next round.
    async fn with_open(
        &self,
        records: &SharedRecords,
        id: RecordId,
        apply: impl AsyncFnOnce(&SessionContext, &Tenant, &Arc<SessionRecord>) -> Result<(), StoreError>,
    ) {
        let Some((session, tenant)) = records.find_open(id).and_then(|open| open.upgrade()) else { return };
        if let Some(record) = &tenant.record
            && let Err(error) = apply(&session, &tenant, record).await
        {
            tracing::warn!(session = %session.id(), %error, "the session is not current");
        }
    }

    /// Takes over what other nodes have saved, if anything is missing.
    ///
    /// # Errors
    /// Those of the store. A record that may not be used ends the session on this node.
    pub(in crate::http) async fn make_current(&self, session: &TenantGuard) -> Result<()> {
        let (Some(records), Some(record)) = (&self.shared, &session.value().record) else { return Ok(()) };
        let loaded = self.load_changes(records, session, session.value(), record).await;
        if let Err(error) = &loaded {
            self.record_refusal(session.value().caller(), error);
        }
        Ok(loaded?)
    }

    async fn load_changes(
        &self,
        records: &SharedRecords,
        session: &SessionContext,
        tenant: &Tenant,
        record: &SessionRecord,
    ) -> Result<(), StoreError> {
        match record.missing_changes() {
            Some(changes) => self.load_record(records, session, tenant, record, changes).await,
            None => Ok(()),
        }
    }

    /// Makes the session what its record says. The load includes `changes`.
    pub(super) async fn load_record(
        &self,
        records: &SharedRecords,
        session: &SessionContext,
        tenant: &Tenant,
        record: &SessionRecord,
        changes: u64,
    ) -> Result<(), StoreError> {
        records.pending_clears.check(record.id())?;
        match records.load(&record.client, &record.owner).await {
            Ok((loaded, generation)) => {
                record.loaded(generation, changes, || contents::restore(&loaded, session, tenant));
                Ok(())
            }
            Err(error) => {
                let may_recover = error.is_transient() || error == RecordError::Replayed.into();
                if !may_recover {
                    self.end(records, record.client.id());
                }
                Err(error)
            }
        }
    }

    /// The store has lost a clear. This node clears the session, and saves that.
    async fn store_clear_again(
        &self,
        records: &SharedRecords,
        id: RecordId,
        stored: RecordGeneration,
        latest: RecordGeneration,
    ) {
        if records.find_open(id).is_none_or(|open| !open.is_open()) {
            // This node does not have the contents. The session ends with the next round.
            return records.known.closing(id);
        }
        self.with_open(records, id, async |session, tenant, record| {
            session.clear();
            records.keep_clear(record, contents::describe(session, tenant));
            record.saved(stored.max(latest));
            Ok(())
        })
        .await;
    }

    /// Saves the clears that the store has not confirmed. A session that is still open here is cleared again: calls may
    /// have changed it meanwhile.
    async fn save_pending_clears(&self, records: &SharedRecords) -> Result<(), StoreError> {
        for (record, contents) in records.pending_clears.list(records.lifetime.total) {
            let id = record.id();
            let contents = match records.find_open(id).and_then(|open| open.upgrade()) {
                Some((session, tenant)) => {
                    session.clear();
                    Arc::new(contents::describe(&session, &tenant))
                }
                None => contents,
            };
            match records.save_clear(&record, &contents).await {
                Ok(()) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    records.forget_clear(&record);
                    if error != StoreError::NoSession {
                        // The session must not be served as it is in the store.
                        tracing::error!(%error, "a session is closed, since its clear cannot be saved");
                        records.known.closing(id);
                    }
                    self.end(records, id);
                }
            }
        }
        Ok(())
    }

    /// Starts the idle time of the sessions that were used again, and ends those that the store no longer has.
    async fn touch_used(&self, records: &SharedRecords) -> Result<(), StoreError> {
        records.forget_ended();
        for (_, tenant) in open_sessions(records) {
            let Some(record) = &tenant.record else { continue };
            if record.take_due_touch(records.lifetime.idle / TOUCHES) {
                match records.store.touch(record.client.id()).await {
                    Err(StoreError::NoSession) => self.end(records, record.client.id()),
                    touched => touched?,
                }
            }
        }
        Ok(())
    }
}

fn open_sessions(records: &SharedRecords) -> Vec<(SessionContext, Arc<Tenant>)> {
    records.open.lock().values().filter_map(OpenRecord::upgrade).collect()
}
