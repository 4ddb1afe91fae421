//! `RunningServer`: a running server as its callers see it, the calls in progress on it and their receipts, the
//! subscriptions to its resources, and its process.
//!
//! A process reads credentials at a time that it chooses, and may keep them. So whether it can stay after a change
//! depends on what it may hold: [`CredentialSnapshot`] records what it was started with, and its [`Grant`] what it has
//! read since.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use valetkey_core::{CredentialsVersion, Region, SessionAccount};

use super::process_quota::{CallCounter, ProcessSlot};
use super::spawn::Access;
use super::{CallRequest, ItemList, RequestFailure, ServerHandle, ServerShared};
use crate::Redactor;
use crate::child::Delivery;
use crate::connection::{Announcement, Connection, ConnectionDriver, ListKind, PerList};
use crate::endpoint::Grant;
use crate::peer::{FailureSource, ServerPeer};
use crate::subscriptions::{ResourceSubscription, UpdateQueue};

/// How long the response to a subscription waits for the server.
const SYNC_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum length of a server's instructions, in bytes. They are repeated to every client.
const MAX_INSTRUCTIONS_LEN: usize = 8 * 1024;

/// The part of a running server that calls share.
pub(super) struct RunningServer {
    pub(super) connection: Connection,
    pub(super) access: Access,
    pub(super) failure: FailureSource,
    pub(super) redactor: Arc<Redactor>,
    /// The lists as the server sent them.
    pub(super) cached_lists: PerList<Mutex<Option<ItemList>>>,
    pub(super) active_calls: Arc<CallCounter>,
    /// Whether a tool call has succeeded. If so, the restart backoff starts over when the server ends.
    pub(super) has_served: AtomicBool,
    /// Whether a request failed because the server was gone.
    pub(super) is_disconnected: AtomicBool,
    pub(super) snapshot: CredentialSnapshot,
}

impl RunningServer {
    /// Registers a call. The first of concurrent calls ends the endpoint's burst, so that a rotation takes effect
    /// immediately.
    pub(super) fn begin_call(self: &Arc<Self>) -> CallGuard {
        let is_first = self.active_calls.begin();
        if let (true, Some(grant)) = (is_first, self.access.grant()) {
            grant.end_burst();
        }
        CallGuard(Arc::clone(self))
    }

    /// Whether the connection still accepts requests.
    pub(super) fn is_open(&self) -> bool {
        !self.is_disconnected.load(Ordering::Acquire) && !self.connection.is_closed()
    }

    /// Whether the process may hold other credentials than the current ones, has another region, or cannot fetch the
    /// current ones, because it was started without access to any.
    pub(super) fn is_outdated(&self, shared: &ServerShared) -> bool {
        let grant = self.access.grant();
        if shared.config.delivery == Delivery::Endpoint && grant.is_none() {
            return shared.account.current().is_some();
        }
        self.snapshot.is_stale(shared, grant)
    }
}

/// A call in progress. A server that is replaced is not stopped before its calls end, up to a time limit.
pub(super) struct CallGuard(Arc<RunningServer>);

impl CallGuard {
    pub(super) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Returns the items last listed, unless the server has announced a change since.
    pub(super) fn cached_list(&self, kind: ListKind) -> Option<ItemList> {
        let listed = self.0.cached_lists.get(kind).lock();
        listed.clone().filter(|_| !self.0.connection.is_stale(kind))
    }

    pub(super) fn cache_list(&self, kind: ListKind, list: ItemList) {
        *self.0.cached_lists.get(kind).lock() = Some(list);
    }

    /// Records that a tool call succeeded.
    pub(super) fn mark_served(&self) {
        self.0.has_served.store(true, Ordering::Release);
    }

    /// Records that the server is gone, so that later calls do not use it, and returns what is known of its failure as
    /// a clause, masked.
    pub(super) async fn failure_clause(&self) -> String {
        self.0.is_disconnected.store(true, Ordering::Release);
        self.0.failure.quote(&self.0.redactor).await
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.active_calls.end();
    }
}

/// The key of the receipt in `_meta`.
const RECEIPT_KEY: &str = "valetkey/receipt";

/// Which credentials a call of a tool ran with; empty for a server that is given none. It is in the `_meta` of the
/// result.
///
/// | field | type | meaning |
/// |---|---|---|
/// | `account` | string | the name of the account in the session |
/// | `account_id` | string or `null` | the AWS account, if the provider reported it |
/// | `generation` | number | the version of the account's credentials |
/// | `expires_at` | string or `null` | when they expire; `null` for long-lived keys |
///
/// The credentials are those that the account served when the call began. A server that reads them from the credential
/// endpoint may get a renewal during the call. A receipt contains neither a secret nor a handle.
pub(super) struct Receipt(Option<Value>);

impl Receipt {
    /// Describes the credentials that `account` serves now.
    pub(super) fn new(account: &SessionAccount, delivery: Delivery) -> Self {
        let current = account.current().filter(|_| delivery != Delivery::None);
        Self(current.map(|current| {
            json!({
                "account": account.account_name(),
                "account_id": current.credentials.account_id(),
                "generation": current.id.generation(),
                "expires_at": current.credentials.expiry(),
            })
        }))
    }

    /// Adds the receipt to a result. The rest of the server's `_meta` is kept; a receipt that the server wrote itself
    /// is replaced or removed.
    pub(super) fn add_to(self, result: &mut Value) {
        let Value::Object(fields) = result else { return };
        if let Some(Value::Object(meta)) = fields.get_mut("_meta") {
            meta.shift_remove(RECEIPT_KEY);
        }
        let Some(receipt) = self.0 else { return };
        match fields.entry("_meta").or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(meta) => drop(meta.insert(RECEIPT_KEY.to_owned(), receipt)),
            // The protocol allows only an object.
            malformed => *malformed = json!({RECEIPT_KEY: receipt}),
        }
    }
}

/// The process of a running server, or the connection to a remote one, which only the supervisor holds.
pub(super) struct RunningProcess {
    pub(super) server: Arc<RunningServer>,
    pub(super) peer: ServerPeer,
    pub(super) slot: ProcessSlot,
    pub(super) driver: ConnectionDriver,
}

impl RunningProcess {
    /// Closes the connection before the process is stopped, so that the server sees the end of its input first.
    pub(super) async fn stop(self) {
        self.stop_or_kill(&CancellationToken::new()).await;
    }

    /// As [`stop`](Self::stop), but kills the process at once when `kill` fires.
    pub(super) async fn stop_or_kill(self, kill: &CancellationToken) {
        tokio::select! {
            biased;
            () = kill.cancelled() => {}
            () = self.driver.close() => {}
        }
        self.peer.stop_or_kill(kill).await;
    }
}

/// An event of a running process.
pub(super) enum ProcessEvent {
    Ended,
    Announced(Announcement),
    /// No call was made for the idle time, or the process must make room for another one.
    Unused,
}

/// Waits for the next event of the running process. An announcement is reported at `earliest` at the earliest.
/// Without `idle_timeout`, the process stays until it must make room. Cancel safe.
pub(super) async fn next_event(
    running: &mut Option<RunningProcess>,
    earliest: Instant,
    idle_timeout: Option<Duration>,
) -> ProcessEvent {
    let Some(RunningProcess { peer, server, slot, .. }) = running else {
        return std::future::pending().await;
    };
    let changed = async {
        sleep_until(earliest).await;
        server.connection.wait_change().await
    };
    let idle = async {
        match idle_timeout {
            Some(timeout) => server.active_calls.wait_unused(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = peer.wait() => ProcessEvent::Ended,
        () = idle => ProcessEvent::Unused,
        () = slot.wait_evicted() => ProcessEvent::Unused,
        announcement = changed => ProcessEvent::Announced(announcement),
    }
}

/// The credentials and the region that a server was started with, which determine whether it must be replaced.
pub(super) struct CredentialSnapshot {
    /// The credentials that the account served at the start.
    pub(super) version: Option<CredentialsVersion>,
    /// The region that the server was started with. The account may have had no credentials yet.
    region: Option<Region>,
}

impl CredentialSnapshot {
    /// Takes the snapshot before the process is started. It may be older than the credentials that the process then
    /// reads, which causes an unneeded replacement; a snapshot that is too new would keep an outdated process.
    pub(super) fn take(shared: &ServerShared) -> Self {
        Self {
            version: shared.account.current().map(|current| current.id),
            region: Some(shared.account.resolved_region()),
        }
    }

    /// Whether a server that was started with this snapshot and reads from `grant` may hold credentials that the
    /// session no longer has, or runs in another region than they belong to.
    ///
    /// A server may cache the credentials it reads for any time, so it keeps running only after a renewal of the same
    /// credentials. Other credentials, possibly of another AWS account, never reach a process that has read earlier
    /// ones.
    pub(super) fn is_stale(&self, shared: &ServerShared, grant: Option<&Grant>) -> bool {
        match shared.config.delivery {
            Delivery::None => false,
            Delivery::Env => self.version != shared.account.current().map(|current| current.id),
            Delivery::Endpoint => match shared.account.current() {
                Some(now) => {
                    self.has_other_region(shared) || grant.is_some_and(|grant| !grant.is_renewed_by(now.id))
                }
                // Invalidated or expired credentials are fetched again at the next call, and compared then.
                None => shared.account.is_cleared() && grant.is_some_and(Grant::was_used),
            },
            // The server holds no credentials, but has its region in its environment.
            Delivery::Proxy => self.has_other_region(shared),
            // Every request is signed anew, but what the server keeps of a session belongs to the identity that began it.
            Delivery::SigV4 => match (self.version, shared.account.current()) {
                (Some(begun), Some(now)) => now.id != begun && !now.id.is_renewal_of(begun),
                _ => false,
            },
        }
    }

    fn has_other_region(&self, shared: &ServerShared) -> bool {
        shared.account.region().is_some_and(|region| self.region.as_ref() != Some(&region))
    }
}

impl ServerHandle {
    /// Subscribes to a resource, which starts the server. `queue` gets its updates while the returned value lives.
    pub(crate) async fn subscribe(
        &self,
        uri: &str,
        queue: &Arc<UpdateQueue>,
    ) -> Result<ResourceSubscription, RequestFailure> {
        let call = self.begin_with_credentials().await?;
        if !call.connection().supports_subscriptions() {
            return Err(RequestFailure::method_not_found("the server announces no updates of its resources"));
        }
        drop(call);
        let subscription = self.shared.subscriptions.subscribe(uri, queue);
        // A server that does not respond begins later.
        let _elapsed = timeout(SYNC_TIMEOUT, self.shared.subscriptions.wait_synced()).await;
        Ok(subscription)
    }

    /// Returns the instructions of the process that ran last, masked.
    pub(crate) fn instructions(&self) -> Option<String> {
        let instructions = self.shared.with_status(|status| status.instructions.clone())?;
        Some(mask_instructions(&self.shared.spawn_config.redactor, &instructions))
    }
}

/// Masks instructions before they are truncated, because a part of a secret is not recognized.
fn mask_instructions(redactor: &Redactor, instructions: &str) -> String {
    let mut masked = redactor.mask(instructions);
    masked.truncate(masked.floor_char_boundary(MAX_INSTRUCTIONS_LEN));
    masked
}

/// Keeps the process informed of the resources that have subscribers. Runs beside the supervisor, in the same task.
///
/// `requests` is weak, because the supervisor ends when all other senders are dropped.
pub(super) async fn watch_resources(shared: Arc<ServerShared>, requests: mpsc::WeakSender<CallRequest>) {
    let mut changes = shared.subscriptions.changes();
    while changes.changed().await.is_ok() {
        let change = *changes.borrow_and_update();
        // A process that does not run is not started for this; the next one is informed when it has started.
        if shared.with_status(|status| status.running.is_some())
            && let Some(requests) = requests.upgrade()
            && let Ok(call) = shared.begin_call(&requests).await
        {
            call.connection().watch_resources(shared.subscriptions.uris()).await;
        }
        shared.subscriptions.mark_synced(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_truncated_within_secret_do_not_contain_its_part() {
        let (redactor, secret) = (Redactor::default(), "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12");
        redactor.add_secret(secret);
        let masked =
            mask_instructions(&redactor, &format!("{}{secret}", "x".repeat(MAX_INSTRUCTIONS_LEN - 20)));
        assert!(masked.len() <= MAX_INSTRUCTIONS_LEN && !masked.contains(&secret[..16]), "{masked}");
    }
}
