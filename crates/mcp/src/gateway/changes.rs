//! `ChangeNotifier`: notifies clients of changes of the lists, as their protocol version requires.
//!
//! Legacy protocols notify every client; the modern protocol notifies a client that has subscribed to a list.

use std::convert::Infallible;

use rmcp::RoleServer;
use rmcp::model::SubscriptionFilter;
use rmcp::service::{Peer, SubscriptionContext, SubscriptionSendError};

use crate::McpHost;
use crate::connection::ListKind;
use crate::host::ListChanges;

/// The changes of a host's lists; `None` without a host.
#[derive(Clone)]
pub(crate) struct ChangeNotifier(Option<ListChanges>);

impl ChangeNotifier {
    pub(crate) fn new(host: Option<&McpHost>) -> Self {
        Self(host.map(McpHost::list_changes))
    }

    /// Waits for the next change. Never returns without a host, or after the host was dropped. Cancel safe.
    pub(crate) async fn next_change(&mut self) -> ListKind {
        match &mut self.0 {
            Some(changes) => changes.next().await,
            None => std::future::pending().await,
        }
    }

    /// Notifies a legacy client of each change. Legacy clients need no subscription.
    pub(super) async fn notify_legacy(mut self, peer: &Peer<RoleServer>) -> Infallible {
        loop {
            let kind = self.next_change().await;
            let is_legacy = peer.peer_info().is_some_and(|info| info.protocol_version.has_initialize());
            if is_legacy {
                // A disconnected client ends the connection, which `Gateway::serve` handles.
                let _gone = match kind {
                    ListKind::Tools => peer.notify_tool_list_changed().await,
                    ListKind::Prompts => peer.notify_prompt_list_changed().await,
                    ListKind::Resources | ListKind::ResourceTemplates => {
                        peer.notify_resource_list_changed().await
                    }
                };
            }
        }
    }

    /// Notifies a subscriber of each change, until the subscription is cancelled.
    pub(super) async fn notify_subscriber(mut self, subscription: &SubscriptionContext) {
        loop {
            let kind = tokio::select! {
                () = subscription.cancelled() => return,
                kind = self.next_change() => kind,
            };
            if notify_subscriber(subscription, kind).await.is_err() {
                return;
            }
        }
    }
}

/// Notifies a subscriber of a change of this list, if it has subscribed to it.
async fn notify_subscriber(
    subscription: &SubscriptionContext,
    kind: ListKind,
) -> Result<(), SubscriptionSendError> {
    let (accepted, sink) = (subscription.accepted(), subscription.sink());
    match kind {
        ListKind::Tools if accepted.tools_list_changed == Some(true) => sink.notify_tool_list_changed().await,
        ListKind::Prompts if accepted.prompts_list_changed == Some(true) => {
            sink.notify_prompt_list_changed().await
        }
        ListKind::Resources | ListKind::ResourceTemplates
            if accepted.resources_list_changed == Some(true) =>
        {
            sink.notify_resource_list_changed().await
        }
        _ => Ok(()),
    }
}

/// Reduces a requested subscription to the supported changes, of which there may be none. rmcp then removes those that
/// are not advertised.
pub(super) fn accepted_filter(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = requested.clone();
    accepted.resource_subscriptions = None;
    accepted
}
