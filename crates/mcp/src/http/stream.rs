//! The sources of event streams: the messages of one request, and the changes that a legacy client is notified of.

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::events::EventSource;
use super::exchange::{Outgoing, is_final};
use super::quota::Permit;
use crate::connection::ListKind;
use crate::gateway::ChangeNotifier;

/// The messages of one request, which end with its response.
pub(super) struct RequestMessages {
    first: Option<Outgoing>,
    rest: mpsc::Receiver<Outgoing>,
    is_finished: bool,
    /// Cancels the request when the client closes the stream. `None` for a request that continues without its client.
    _cancel: Option<DropGuard>,
}

impl RequestMessages {
    pub(super) fn new(
        first: Option<Outgoing>,
        rest: mpsc::Receiver<Outgoing>,
        cancel: Option<DropGuard>,
    ) -> Self {
        Self { first, rest, is_finished: false, _cancel: cancel }
    }
}

impl EventSource for RequestMessages {
    type Message = Outgoing;

    async fn next(&mut self) -> Option<Outgoing> {
        if self.is_finished {
            return None;
        }
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.rest.recv().await,
        };
        self.is_finished = next.as_ref().is_none_or(is_final);
        next
    }
}

/// The notifications of a legacy session.
pub(super) struct ListChangeMessages {
    changes: ChangeNotifier,
    ended: CancellationToken,
    _permit: Permit,
}

impl ListChangeMessages {
    pub(super) fn new(changes: ChangeNotifier, ended: CancellationToken, permit: Permit) -> Self {
        Self { changes, ended, _permit: permit }
    }
}

impl EventSource for ListChangeMessages {
    type Message = Value;

    async fn next(&mut self) -> Option<Value> {
        tokio::select! {
            () = self.ended.cancelled() => None,
            kind = self.changes.next_change() => {
                let method = match kind {
                    ListKind::Tools => "notifications/tools/list_changed",
                    ListKind::Prompts => "notifications/prompts/list_changed",
                    ListKind::Resources | ListKind::ResourceTemplates => "notifications/resources/list_changed",
                };
                Some(json!({"jsonrpc": "2.0", "method": method}))
            }
        }
    }
}
