//! Subscriptions to the resources of a server, and its instructions for the client's model.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{CallRequest, RequestFailure, ServerHandle, ServerShared};
use crate::subscriptions::{ResourceSubscription, UpdateQueue};

/// How long the response to a subscription waits for the server.
const SYNC_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum length of a server's instructions, in bytes. They are repeated to every client.
const MAX_INSTRUCTIONS_LEN: usize = 8 * 1024;

impl ServerHandle {
    /// Subscribes to a resource, which starts the server. `queue` gets its updates while the returned value lives.
    pub(in crate::host) async fn subscribe(
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
    pub(in crate::host) fn instructions(&self) -> Option<String> {
        let instructions = self.shared.with_status(|status| status.instructions.clone())?;
        let end = instructions.floor_char_boundary(MAX_INSTRUCTIONS_LEN);
        Some(self.shared.spawn_config.redactor.mask(&instructions[..end]))
    }
}

/// Keeps the process informed of the resources that have subscribers. Runs beside the supervisor, in the same task.
///
/// `requests` is weak, because the supervisor ends when all other senders are dropped.
pub(super) async fn watch_resources(shared: Arc<ServerShared>, requests: mpsc::WeakSender<CallRequest>) {
    let mut changes = shared.subscriptions.changes();
    while changes.changed().await.is_ok() {
        let change = *changes.borrow_and_update();
        // A process that does not run is not started for this; the next one is informed when it has started.
        if shared.with_status(|status| status.pid).is_some()
            && let Some(requests) = requests.upgrade()
            && let Ok(call) = shared.begin_call(&requests).await
        {
            call.connection().watch_resources(shared.subscriptions.uris()).await;
        }
        shared.subscriptions.mark_synced(change);
    }
}
