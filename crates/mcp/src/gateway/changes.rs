//! `ChangeNotifier`: notifies clients of changes of the lists and of updated resources, as their protocol version
//! requires.
//!
//! Legacy protocols notify every client of lists, and of the resources that it has subscribed to by separate requests.
//! The modern protocol notifies a client of what its subscription names.

use std::convert::Infallible;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionContext, SubscriptionSendError};

use crate::McpHost;
use crate::connection::ListKind;
use crate::server::ListChanges;
use crate::subscriptions::{MAX_SUBSCRIPTIONS, UpdateQueue};

/// A change that a client is notified of.
#[derive(Debug)]
pub(crate) enum Change {
    List(ListKind),
    Resource(String),
}

/// The changes of the lists of some hosts, and the updates of one client's resources.
#[derive(Clone, Default)]
pub(crate) struct ChangeNotifier {
    lists: Vec<ListChanges>,
    updates: Arc<UpdateQueue>,
}

impl ChangeNotifier {
    pub(crate) fn new(host: Option<&McpHost>) -> Self {
        Self { lists: host.map(McpHost::list_changes).into_iter().collect(), updates: Arc::default() }
    }

    /// Adds the changes of other lists.
    #[cfg(feature = "http")]
    pub(crate) fn with_lists(mut self, changes: ListChanges) -> Self {
        self.lists.push(changes);
        self
    }

    /// Sets the queue of the client's resources.
    pub(crate) fn with_updates(mut self, updates: Arc<UpdateQueue>) -> Self {
        self.updates = updates;
        self
    }

    /// Waits for the next change. Never returns without a host, or after the host was dropped. Cancel safe.
    pub(crate) async fn next_change(&mut self) -> Change {
        let updates = Arc::clone(&self.updates);
        tokio::select! {
            kind = next_list_change(&mut self.lists) => Change::List(kind),
            uri = updates.next() => Change::Resource(uri),
        }
    }

    /// Notifies a legacy client of each change.
    pub(super) async fn notify_legacy(mut self, peer: &Peer<RoleServer>) -> Infallible {
        loop {
            let change = self.next_change().await;
            let is_legacy = peer.peer_info().is_some_and(|info| info.protocol_version.has_initialize());
            if is_legacy {
                // A disconnected client ends the connection, which `Gateway::serve` handles.
                let _gone = match change {
                    Change::List(ListKind::Tools) => peer.notify_tool_list_changed().await,
                    Change::List(ListKind::Prompts) => peer.notify_prompt_list_changed().await,
                    Change::List(ListKind::Resources | ListKind::ResourceTemplates) => {
                        peer.notify_resource_list_changed().await
                    }
                    Change::Resource(uri) => {
                        peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await
                    }
                };
            }
        }
    }

    /// Notifies a subscriber of each change, until the subscription is cancelled.
    pub(super) async fn notify_subscriber(mut self, subscription: &SubscriptionContext) {
        loop {
            let change = tokio::select! {
                () = subscription.cancelled() => return,
                change = self.next_change() => change,
            };
            if notify_subscriber(subscription, change).await.is_err() {
                return;
            }
        }
    }
}

async fn next_list_change(lists: &mut [ListChanges]) -> ListKind {
    match lists {
        [] => std::future::pending().await,
        [only] => only.next().await,
        [first, rest @ ..] => tokio::select! {
            kind = first.next() => kind,
            kind = Box::pin(next_list_change(rest)) => kind,
        },
    }
}

/// Notifies a subscriber of a change, if it has subscribed to it.
async fn notify_subscriber(
    subscription: &SubscriptionContext,
    change: Change,
) -> Result<(), SubscriptionSendError> {
    let (accepted, sink) = (subscription.accepted(), subscription.sink());
    match change {
        Change::List(ListKind::Tools) if accepted.tools_list_changed == Some(true) => {
            sink.notify_tool_list_changed().await
        }
        Change::List(ListKind::Prompts) if accepted.prompts_list_changed == Some(true) => {
            sink.notify_prompt_list_changed().await
        }
        Change::List(ListKind::Resources | ListKind::ResourceTemplates)
            if accepted.resources_list_changed == Some(true) =>
        {
            sink.notify_resource_list_changed().await
        }
        Change::Resource(uri) => sink.notify_resource_updated(uri).await,
        Change::List(_) => Ok(()),
    }
}

/// Reduces a requested subscription to the supported changes, of which there may be none. rmcp then removes those that
/// are not advertised.
pub(super) fn accepted_filter(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = requested.clone();
    if let Some(uris) = &mut accepted.resource_subscriptions {
        uris.truncate(MAX_SUBSCRIPTIONS);
    }
    accepted
}
