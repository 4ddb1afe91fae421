//! The sources of event streams: the messages of one request, and the changes that a legacy client is notified of.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::encoded_list::{ListSlot, encode};
use super::events::EventSource;
use super::exchange::{Messages, Outgoing, is_final};
use super::protocol_sessions::{ProtocolSession, Reader};
use super::quota::Permit;
use crate::client::notification;
use crate::connection::ListKind;
use crate::gateway::{Change, ChangeNotifier};

/// The messages of one request, which end with its response.
pub(super) struct RequestMessages {
    first: Option<Outgoing>,
    rest: mpsc::Receiver<Outgoing>,
    is_finished: bool,
    list: ListSlot,
    reader: Reader,
}

impl RequestMessages {
    pub(super) fn new(first: Option<Outgoing>, messages: Messages, reader: Reader) -> Self {
        let Messages { receiver, list } = messages;
        Self { first, rest: receiver, is_finished: false, list, reader }
    }
}

impl EventSource for RequestMessages {
    async fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_finished {
            return None;
        }
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.rest.recv().await,
        };
        self.is_finished = next.as_ref().is_none_or(is_final);
        if self.is_finished {
            self.reader.finish();
        }
        self.list.encode(&next?).ok()
    }
}

/// The notifications of a legacy session, and the messages of servers that belong to no response.
pub(super) struct SessionMessages {
    changes: ChangeNotifier,
    messages: mpsc::Receiver<Outgoing>,
    ended: CancellationToken,
    _reader: Reader,
    _permit: Permit,
}

impl SessionMessages {
    /// Opens the stream of `session`.
    pub(super) fn open(changes: ChangeNotifier, session: &Arc<ProtocolSession>, permit: Permit) -> Self {
        let (messages, ended) = session.open_stream();
        let reader = session.begin_reading(CancellationToken::new());
        Self { changes, messages, ended, _reader: reader, _permit: permit }
    }
}

impl EventSource for SessionMessages {
    async fn next(&mut self) -> Option<Vec<u8>> {
        let message = tokio::select! {
            () = self.ended.cancelled() => return None,
            change = self.changes.next_change() => match change {
                Change::List(kind) => notification(change_method(kind), None),
                Change::Resource(uri) => {
                    notification("notifications/resources/updated", Some(json!({"uri": uri})))
                }
            },
            message = self.messages.recv() => message?,
        };
        encode(&message).ok()
    }
}

fn change_method(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools => "notifications/tools/list_changed",
        ListKind::Prompts => "notifications/prompts/list_changed",
        ListKind::Resources | ListKind::ResourceTemplates => "notifications/resources/list_changed",
    }
}
