//! The shared sessions that this node opens, finds and closes.

use std::sync::Arc;

use hyper::header::HeaderValue;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Error, ErrorKind, Result};
use valetkey_store::{ClientHandle, RecordId, StoreError};

use super::record::SessionRecord;
use super::{SharedRecords, contents};
use crate::http::auth::VerifiedCaller;
use crate::http::session_key::SessionKey;
use crate::http::tenants::{NewTenant, TenantGuard, Tenants};

impl Tenants {
    /// Returns the header that names this node, for a balancer and for logs. `None` without shared sessions.
    pub(in crate::http) fn node_header(&self) -> Option<HeaderValue> {
        self.shared.as_ref()?.node.to_string().parse().ok()
    }

    /// Opens a session for `caller` that its handle selects: on every node of the fleet, if there is one.
    ///
    /// # Errors
    /// Those of the session, and of the store.
    pub(in crate::http) async fn create(
        &self,
        caller: &VerifiedCaller,
        label: Option<String>,
    ) -> Result<SessionKey> {
        let Some(records) = &self.shared else {
            return Ok(SessionKey::Local(self.open(caller, label)?.handle()));
        };
        records.check_following()?;
        let record = Arc::new(SessionRecord::new(ClientHandle::random()?, caller));
        let key = SessionKey::Shared(record.client.clone());
        let new = NewTenant { label, record: Some(record), session: None };
        let opened = self.open_tenant(caller, new)?;
        let Some(record) = &opened.value().record else { return Ok(key) };
        let contents = contents::describe(&opened, opened.value());
        if let Err(error) = records.create(record, &contents).await {
            self.close_local(caller.principal(), &opened.handle());
            return Err(error.into());
        }
        records.remember(record.client.id(), &opened);
        Ok(key)
    }

    /// Returns the shared session of this handle if it belongs to `caller`, from the store if this node does not have it
    /// open.
    ///
    /// # Errors
    /// `Closed` for a session that does not exist or has ended; `Denied` for a record that does not open, which is
    /// recorded in the audit log; those of the store and of the session.
    pub(in crate::http) async fn find_shared(
        &self,
        caller: &VerifiedCaller,
        handle: &ClientHandle,
    ) -> Result<TenantGuard> {
        let Some(records) = &self.shared else {
            return Err(StoreError::NoSession.into());
        };
        if let Some(found) = self.find_open(records, caller, handle) {
            self.make_current(&found).await?;
            return Ok(found);
        }
        self.open_from_store(records, caller, handle).await
    }

    /// Returns an open session. Another caller and another secret do not find it, and fail to open its record.
    fn find_open(
        &self,
        records: &SharedRecords,
        caller: &VerifiedCaller,
        handle: &ClientHandle,
    ) -> Option<TenantGuard> {
        let open = records.find_open(handle.id())?;
        let found = self.find_local(caller, &open.local).ok()?;
        let record = found.value().record.as_ref().filter(|record| record.client.is_same(handle))?;
        record.mark_used();
        Some(found)
    }

    async fn open_from_store(
        &self,
        records: &SharedRecords,
        caller: &VerifiedCaller,
        handle: &ClientHandle,
    ) -> Result<TenantGuard> {
        records.pending_clears.check(handle.id())?;
        let record = Arc::new(SessionRecord::new(handle.clone(), caller));
        let (contents, generation) = match records.load(handle, &record.owner).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.record_refusal(caller, &error);
                return Err(error.into());
            }
        };
        record.saved(generation);
        record.mark_used();
        let new = NewTenant {
            label: contents.label.clone(),
            record: Some(record),
            session: Some(contents.session),
        };
        let opened = self.open_tenant(caller, new)?;
        let _is_changed = contents::restore(&contents, &opened, opened.value());
        if let Some(earlier) = records.remember(handle.id(), &opened) {
            // Another request has opened it meanwhile.
            self.close_local(caller.principal(), &opened.handle());
            let found = self.find_local(caller, &earlier.local)?;
            self.make_current(&found).await?;
            return Ok(found);
        }
        // The record may have changed before this node listened for changes of it.
        self.make_current(&opened).await?;
        Ok(opened)
    }

    /// Records in the audit log that a record was refused: it may have been tampered with, or belong to another caller.
    pub(super) fn record_refusal(&self, caller: &VerifiedCaller, error: &StoreError) {
        let StoreError::Record(refusal) = error else { return };
        if let Some(records) = &self.shared {
            records.status.record_refusal(*refusal);
        }
        tracing::warn!(principal = %caller.principal(), %refusal, "the record of a session was refused");
        if let Ok(described) = self.factory().new_session(caller) {
            let session = described.builder.principal(caller.principal().clone()).build();
            let error = Error::from(error.clone());
            session.audit(AuditEvent::Deny, session.default_account(), "session store", Some(&error));
        }
    }

    /// Closes a session on this node and in the store.
    ///
    /// # Errors
    /// Those of the store. The session is closed on this node, and this node closes it in the store until that succeeds.
    pub(in crate::http) async fn close_shared(&self, session: &TenantGuard) -> Result<()> {
        let (Some(records), Some(record)) = (&self.shared, &session.value().record) else { return Ok(()) };
        let id = record.client.id();
        records.known.closing(id);
        self.end(records, id);
        let closed = records.store.close(id).await;
        closed.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "the session is closed on this node, and will be on the others when the session store is reached",
            )
            .with_next_step("call again to see whether it was closed everywhere")
            .with_source(error)
        })
    }

    /// Closes a session on this node: it was closed elsewhere, or may not be served.
    pub(super) fn end(&self, records: &SharedRecords, id: RecordId) {
        let Some(open) = records.open.lock().remove(&id) else { return };
        if let Some(tenant) = open.tenant.upgrade() {
            self.close_local(tenant.principal(), &open.local);
        }
    }
}
