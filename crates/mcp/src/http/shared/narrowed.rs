//! Sessions that were narrowed from a shared session: any node narrows them again.
//!
//! The record of a session describes what was narrowed from it, without credentials. A sub-agent has only the handle of its
//! narrowed session, so a second record, sealed with that handle, leads to the session: it holds the session's own handle.
//!
//! # A call with the handle of a narrowed session
//! 1. A session that this node has open and that has the handle is used, after it has taken over what is missing.
//! 2. Otherwise the second record is loaded. It opens with the handle, for the caller that narrowed the session; another caller
//!    is refused, and that is recorded in the audit log.
//! 3. The session that it names is found as with its own handle, and narrowed again as its record says.
//! 4. A handle that is still unknown is reported by the tool.
//!
//! # Ends
//! A narrowed session ends on every node with its lifetime, when it is closed on one, and with a clear or the end of the
//! session it was narrowed from. The second record then leads nowhere, and expires in the store.

use serde_json::{Map, Value};
use valetkey_core::{ExposeSecret, Result, SessionContext, SessionHandle};
use valetkey_store::{
    ClientHandle, RecordError, RecordGeneration, RecordLifetime, RecordOwner, SessionContents, StoreError,
    StoredNarrowing,
};
use valetkey_tools::{CREDENTIAL_SESSION, NarrowedSession};

use super::SharedRecords;
use super::record::SessionRecord;
use crate::http::auth::VerifiedCaller;
use crate::http::tenant::Tenant;
use crate::http::tenants::{TenantGuard, Tenants};

pub(super) fn describe(tenant: &Tenant) -> Vec<StoredNarrowing> {
    let Some(tools) = tenant.tools() else { return Vec::new() };
    let describe = |NarrowedSession { handle, id, parent, accounts, policy, ends_at }| StoredNarrowing {
        handle,
        session: id,
        parent,
        accounts,
        policy,
        ends_at,
    };
    tools.narrowed_sessions().into_iter().map(describe).collect()
}

/// Makes the narrowed sessions those of the record, and returns whether that has changed anything.
pub(super) fn restore(stored: &[StoredNarrowing], tenant: &Tenant) -> bool {
    let wanted: Vec<_> = stored.iter().map(to_session).collect();
    tenant.tools().is_some_and(|tools| tools.restore_narrowed(&wanted))
}

fn to_session(stored: &StoredNarrowing) -> NarrowedSession {
    let StoredNarrowing { handle, session: id, parent, accounts, policy, ends_at } = stored.clone();
    NarrowedSession { handle, id, parent, accounts, policy, ends_at }
}

/// Whether both have the same sessions. How a session was narrowed never changes.
pub(super) fn is_same(before: &[StoredNarrowing], after: &[StoredNarrowing]) -> bool {
    before.len() == after.len() && added(before, after).next().is_none()
}

fn added<'a>(
    before: &'a [StoredNarrowing],
    after: &'a [StoredNarrowing],
) -> impl Iterator<Item = &'a StoredNarrowing> {
    after.iter().filter(|session| !before.iter().any(|earlier| earlier.handle == session.handle))
}

impl SharedRecords {
    /// Stores what leads from the sessions that a call has narrowed to the session it acted on.
    pub(super) async fn link_narrowed(
        &self,
        session: &SessionContext,
        record: &SessionRecord,
        before: &SessionContents,
        after: &SessionContents,
    ) -> Result<(), StoreError> {
        for narrowed in added(&before.narrowed, &after.narrowed) {
            let link = ClientHandle::for_narrowed(&narrowed.handle);
            let target = record.client.expose();
            let bytes = target.expose_secret().as_bytes();
            let sealed = self.ring.seal(&link, &record.owner, RecordGeneration::FIRST, bytes)?;
            let remaining = narrowed.ends_at.remaining(session.clock().now());
            if remaining.is_some_and(|remaining| remaining.is_zero()) {
                continue;
            }
            let total = remaining.map_or(self.lifetime.total, |remaining| remaining.min(self.lifetime.total));
            match self.create_sealed(link.id(), &sealed, RecordLifetime { idle: total, total }).await {
                // Exists if another call of this session has stored it meanwhile: the id is random.
                Ok(()) | Err(StoreError::Exists) => {}
                failed => return failed,
            }
        }
        Ok(())
    }

    /// Returns the handle of the session that this one was narrowed from.
    async fn follow_link(
        &self,
        narrowed: &SessionHandle,
        owner: &RecordOwner,
    ) -> Result<ClientHandle, StoreError> {
        self.check_following()?;
        let link = ClientHandle::for_narrowed(narrowed);
        let sealed = self.store.load(link.id()).await?;
        let bytes = self.ring.open(&link, owner, &sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_not_text| RecordError::Malformed)?;
        Ok(text.parse().map_err(|_not_a_handle| RecordError::Malformed)?)
    }
}

impl Tenants {
    /// Returns the session of `caller` from which the narrowed session that the arguments name was narrowed, if another
    /// node has narrowed it.
    ///
    /// # Errors
    /// `Closed` for a handle that leads to no session; `Denied` for a record that does not open, which is recorded in the
    /// audit log; those of the store and of the session.
    pub(in crate::http) async fn find_narrowed_shared(
        &self,
        caller: &VerifiedCaller,
        arguments: &Map<String, Value>,
    ) -> Result<TenantGuard> {
        let (Some(records), Some(handle)) = (&self.shared, narrowed_handle(arguments)) else {
            return Err(StoreError::NoSession.into());
        };
        let owner = RecordOwner::new(caller.statements_digest(), caller.principal().clone());
        match records.follow_link(&handle, &owner).await {
            Ok(target) => {
                let session = self.find_shared(caller, &target).await?;
                self.load_narrowed(&session, arguments).await;
                Ok(session)
            }
            Err(error) => {
                self.record_refusal(caller, &error);
                Err(error.into())
            }
        }
    }

    /// Reads the record again if the session lacks the narrowed session that a call names: another node may have narrowed
    /// it a moment ago. The call itself reports a handle that is still unknown.
    pub(in crate::http) async fn load_narrowed(&self, session: &TenantGuard, arguments: &Map<String, Value>) {
        let tenant = session.value();
        if let (Some(records), Some(record), Some(_)) =
            (&self.shared, &tenant.record, narrowed_handle(arguments))
            && !tenant.has_narrowed(arguments)
        {
            // A failure leaves the handle unknown. No change was missed, so the session stays as usable as it was.
            let _unknown = self.load_record(records, session, tenant, record, record.changes()).await;
        }
    }
}

fn narrowed_handle(arguments: &Map<String, Value>) -> Option<SessionHandle> {
    arguments.get(CREDENTIAL_SESSION)?.as_str()?.trim().parse().ok()
}
