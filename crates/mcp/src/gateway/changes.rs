//! `ToolChangeNotifier`: notifies clients of changes of the list of tools, in the way of their protocol.

use std::convert::Infallible;

use rmcp::RoleServer;
use rmcp::model::SubscriptionFilter;
use rmcp::service::{Peer, SubscriptionContext};
use tokio::sync::watch;

use crate::McpHost;

/// Counts changes; without a host there are none.
#[derive(Clone)]
pub(super) struct ToolChangeNotifier(Option<watch::Receiver<u64>>);

impl ToolChangeNotifier {
    pub(super) fn new(host: Option<&McpHost>) -> Self {
        Self(host.map(McpHost::tools_changed))
    }

    /// The next change; never without a host, or once it is gone. Cancel safe.
    async fn next_change(&mut self) {
        if let Some(changes) = &mut self.0
            && changes.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Notifies a legacy client of each change; it needs no subscription.
    pub(super) async fn notify_legacy(mut self, peer: &Peer<RoleServer>) -> Infallible {
        loop {
            self.next_change().await;
            let is_legacy = peer.peer_info().is_some_and(|info| info.protocol_version.has_initialize());
            if is_legacy {
                // A client that is gone ends the connection, which is noticed elsewhere.
                let _gone = peer.notify_tool_list_changed().await;
            }
        }
    }

    /// Notifies a subscriber of each change, until the subscription is cancelled.
    pub(super) async fn notify_subscriber(mut self, subscription: &SubscriptionContext) {
        loop {
            tokio::select! {
                () = subscription.cancelled() => return,
                () = self.next_change() => {}
            }
            if subscription.sink().notify_tool_list_changed().await.is_err() {
                return;
            }
        }
    }
}

/// What a client may subscribe to.
pub(super) fn accepted_filter(requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
    requested.tools_list_changed.map(|_| SubscriptionFilter::builder().tools_list_changed().build())
}
