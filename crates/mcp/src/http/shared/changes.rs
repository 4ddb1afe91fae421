//! The changes that calls make to a shared session on this node, and their saves.

use std::sync::Arc;

use serde_json::Value;
use valetkey_core::{Error, ErrorKind, Result};
use valetkey_store::{Change, RecordGeneration, SessionContents, StoreError};
use valetkey_tools::CREDENTIAL_SESSION;

use super::record::SessionRecord;
use super::{MAX_ATTEMPTS, SharedRecords, contents};
use crate::client::ClientContext;
use crate::connection::RefusedRequest;
use crate::gateway::{ContentSource, GatewayInner};
use crate::host::{ToolCall, error_result};
use crate::http::tenants::{TenantGuard, Tenants};

/// How often a call is repeated that other calls have overtaken. Each of them succeeded in between.
const MAX_OVERTAKEN: u32 = 64;
/// The tool whose success says that nothing is left.
const CLEAR_TOOL: &str = "clear_credential_context";

impl SharedRecords {
    /// Saves what a session has now, and repeats a save whose outcome is unknown.
    async fn save(
        &self,
        record: &SessionRecord,
        expected: RecordGeneration,
        contents: &SessionContents,
        change: Change,
    ) -> Result<(), StoreError> {
        let id = record.client.id();
        // A store that has lost saves has an earlier generation than this node.
        let generation = expected.max(record.generation()).successor()?;
        let sealed = self.seal(record, generation, contents)?;
        let mut attempt = 1;
        loop {
            match self.store.save(id, expected, &sealed, change).await {
                Err(error) if is_worth_repeating(&error) && attempt < MAX_ATTEMPTS => attempt += 1,
                saved => break saved?,
            }
        }
        self.known.saved(id, generation, change);
        record.saved(generation);
        Ok(())
    }

    /// Saves a clear over whatever the record has.
    pub(super) async fn save_clear(
        &self,
        record: &SessionRecord,
        contents: &SessionContents,
    ) -> Result<(), StoreError> {
        let mut expected = record.generation();
        for _ in 0..MAX_OVERTAKEN {
            match self.save(record, expected, contents, Change::Cleared).await {
                Err(StoreError::Superseded { current }) => expected = current,
                saved => {
                    if saved.is_ok() {
                        self.forget_clear(record);
                    }
                    return saved;
                }
            }
        }
        Err(StoreError::Superseded { current: expected })
    }

    /// Keeps a clear until the store has it. Meanwhile this node loads nothing for the session.
    pub(super) fn keep_clear(&self, record: &Arc<SessionRecord>, contents: SessionContents) {
        self.pending_clears.insert(record, contents, self.status.count_pending_clear());
    }

    pub(super) fn forget_clear(&self, record: &SessionRecord) {
        self.pending_clears.remove(record.id());
    }
}

fn has_succeeded(result: &std::result::Result<Option<Value>, RefusedRequest>) -> bool {
    matches!(result, Ok(Some(value)) if value["isError"] != true)
}

/// A save that was superseded fails in the same way again.
fn is_worth_repeating(error: &StoreError) -> bool {
    error.is_transient() && !matches!(error, StoreError::Superseded { .. })
}

impl Tenants {
    /// Calls a credential tool of a shared session, and saves what it changed. The result reports a change only when the
    /// store has it.
    ///
    /// # Errors
    /// The protocol error of the tool. A failure of the store is a result with `isError`, which states whether the
    /// session is as it was before, or cleared on this node only.
    pub(in crate::http) async fn call_shared(
        &self,
        session: &TenantGuard,
        tools: &GatewayInner,
        call: ToolCall,
        context: &ClientContext,
    ) -> std::result::Result<Option<Value>, RefusedRequest> {
        let (Some(records), Some(record)) = (&self.shared, &session.value().record) else {
            return tools.call_tool(call, context).await;
        };
        // What has nothing to clear here may have been set on another node since. A call that names a narrowed session
        // clears only that one.
        let names_narrowed =
            call.arguments.as_ref().is_some_and(|arguments| arguments.contains_key(CREDENTIAL_SESSION));
        let is_clear_call = call.name == CLEAR_TOOL && !names_narrowed;
        for _ in 0..MAX_OVERTAKEN {
            let describe = || contents::describe(session, session.value());
            let (restorations, (expected, before)) = record.describe(|| (record.generation(), describe()));
            let result = tools.call_tool(call.clone(), context).await;
            let (restorations_after, after) = record.describe(describe);
            let is_clear = contents::is_clear(&before, &after) || (is_clear_call && has_succeeded(&result));
            let saved = if restorations != restorations_after {
                // What the call has changed may have been undone.
                Err(StoreError::Superseded { current: record.generation() })
            } else if is_clear {
                save_clear(records, record, &after).await
            } else if contents::is_same(&before, &after) {
                return result;
            } else {
                match records.link_narrowed(session, record, &before, &after).await {
                    Ok(()) => records.save(record, expected, &after, Change::Rotated).await,
                    unlinked => unlinked,
                }
            };
            let error = match saved {
                Ok(()) => return result,
                Err(StoreError::Superseded { .. }) => match self.reload(session, record).await {
                    Ok(()) => continue,
                    Err(error) => {
                        if is_clear {
                            records.keep_clear(record, after);
                        }
                        error
                    }
                },
                Err(StoreError::NoSession) => {
                    records.forget_clear(record);
                    self.end(records, record.client.id());
                    StoreError::NoSession.into()
                }
                Err(_) if records.pending_clears.contains(record.id()) => clear_pending(),
                Err(error) => unsaved(error),
            };
            if !records.pending_clears.contains(record.id()) {
                record.restore(|| contents::restore(&before, session, session.value()));
            }
            return Ok(Some(error_result(&error)));
        }
        Ok(Some(error_result(&overtaken())))
    }

    /// Makes the session what its record says, although no change was reported: a call has changed it.
    pub(super) async fn reload(&self, session: &TenantGuard, record: &SessionRecord) -> Result<()> {
        record.mark_changed();
        self.make_current(session).await
    }
}

/// Saves a clear. Until the store has it, this node repeats it.
async fn save_clear(
    records: &SharedRecords,
    record: &Arc<SessionRecord>,
    contents: &SessionContents,
) -> Result<(), StoreError> {
    records.keep_clear(record, contents.clone());
    records.save_clear(record, contents).await
}

fn clear_pending() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session is cleared on this node, and will be on the others when the session store is reached",
    )
    .with_next_step("call again to see whether it was cleared everywhere")
}

fn overtaken() -> Error {
    Error::new(ErrorKind::Unavailable, "other calls change the session all the time; nothing was changed")
        .with_next_step("try again when fewer calls are in flight")
}

fn unsaved(error: StoreError) -> Error {
    let kind = Error::from(error.clone()).kind();
    Error::new(kind, "the change was not saved, and was undone: the session is as it was before")
        .with_next_step("try again")
        .with_source(error)
}
