//! `ToolChangeNotifier`: notifies clients of changes of the tool list, as their protocol version requires.
//!
//! Legacy protocols notify every client; the modern protocol notifies a client that has subscribed to the list of
//! tools.

use std::convert::Infallible;

use rmcp::RoleServer;
use rmcp::model::SubscriptionFilter;
use rmcp::service::{Peer, SubscriptionContext};
use tokio::sync::watch;

use crate::McpHost;

/// The change counter of the host; `None` without a host.
#[derive(Clone)]
pub(crate) struct ToolChangeNotifier(Option<watch::Receiver<u64>>);

impl ToolChangeNotifier {
    pub(crate) fn new(host: Option<&McpHost>) -> Self {
        Self(host.map(McpHost::tools_changed))
    }

    /// Waits for the next change. Never returns without a host, or after the host was dropped. Cancel safe.
    pub(crate) async fn next_change(&mut self) {
        if let Some(changes) = &mut self.0
            && changes.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Notifies a legacy client of each change. Legacy clients need no subscription.
    pub(super) async fn notify_legacy(mut self, peer: &Peer<RoleServer>) -> Infallible {
        loop {
            self.next_change().await;
            let is_legacy = peer.peer_info().is_some_and(|info| info.protocol_version.has_initialize());
            if is_legacy {
                // A disconnected client ends the connection, which `Gateway::serve` handles.
                let _gone = peer.notify_tool_list_changed().await;
            }
        }
    }

    /// Notifies a subscriber of each change, until the subscription is cancelled.
    pub(super) async fn notify_subscriber(mut self, subscription: &SubscriptionContext) {
        if subscription.accepted().tools_list_changed != Some(true) {
            return subscription.cancelled().await;
        }
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

/// Reduces a requested subscription to the supported changes, of which there may be none.
pub(super) fn accepted_filter(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let accepted = SubscriptionFilter::builder();
    let wants_tools = requested.tools_list_changed == Some(true);
    if wants_tools { accepted.tools_list_changed().build() } else { accepted.build() }
}
