//! `WatchedResources`: makes a server announce updates of resources, and a modern server also changes of its lists.
//!
//! A legacy server gets a request for each resource, and announces changes of lists by itself. A modern server gets one
//! `subscriptions/listen` for everything, which is replaced when the resources change.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::model::{ServerNotification, SubscriptionFilter};
use rmcp::service::Subscription;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{AnnouncedChanges, Connection, ListKind};
use crate::client::ClientContext;

/// The timeout of a request that begins or ends a subscription.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the server was asked to announce.
#[derive(Debug, Default)]
pub(super) struct WatchedResources(Mutex<WatchState>);

#[derive(Debug, Default)]
struct WatchState {
    uris: BTreeSet<String>,
    /// Reads the announcements of a modern server.
    listener: Option<AbortOnDropHandle<()>>,
}

impl Connection {
    /// Whether the server announces updates of its resources.
    pub(crate) fn supports_subscriptions(&self) -> bool {
        let info = self.peer.peer_info();
        let resources = info.as_ref().and_then(|info| info.capabilities.resources.as_ref());
        resources.is_some_and(|resources| resources.subscribe == Some(true))
    }

    /// Makes the server announce updates of exactly these resources. A resource that the server refuses is skipped.
    ///
    /// # Cancel safety
    /// Not cancel safe: the server may announce fewer resources. Call it again with the same resources.
    pub(crate) async fn watch_resources(&self, mut uris: BTreeSet<String>) {
        if !self.supports_subscriptions() {
            uris.clear();
        }
        if self.peer.peer_info().is_some_and(|info| !info.protocol_version.has_initialize()) {
            self.listen(uris).await;
        } else {
            self.subscribe_each(uris).await;
        }
    }

    async fn subscribe_each(&self, uris: BTreeSet<String>) {
        let before = std::mem::take(&mut self.watched.0.lock().uris);
        let ended = before.difference(&uris).map(|uri| ("resources/unsubscribe", uri));
        let begun = uris.difference(&before).map(|uri| ("resources/subscribe", uri));
        let context = ClientContext::default();
        for (method, uri) in ended.chain(begun) {
            let request = self.request(method, json!({"uri": uri}), &context);
            if !matches!(timeout(SUBSCRIBE_TIMEOUT, request).await, Ok(Ok(_))) {
                tracing::debug!(method, "a server refused a subscription");
            }
        }
        self.watched.0.lock().uris = uris;
    }

    async fn listen(&self, uris: BTreeSet<String>) {
        {
            let state = self.watched.0.lock();
            if state.uris == uris && state.listener.as_ref().is_some_and(|listener| !listener.is_finished()) {
                return;
            }
        }
        let Some(filter) = self.filter(&uris) else { return };
        let Ok(Ok(subscription)) = timeout(SUBSCRIBE_TIMEOUT, self.peer.listen(filter)).await else {
            tracing::debug!("a server refused a subscription");
            return;
        };
        let changes = std::sync::Arc::clone(&self.changes);
        let listener = tokio::spawn(async move { read_announcements(subscription, &changes).await });
        *self.watched.0.lock() = WatchState { uris, listener: Some(AbortOnDropHandle::new(listener)) };
    }

    /// Returns what to listen to, or `None` if the server announces nothing.
    fn filter(&self, uris: &BTreeSet<String>) -> Option<SubscriptionFilter> {
        let info = self.peer.peer_info()?;
        let capabilities = &info.capabilities;
        let announces = |changed: Option<Option<bool>>| changed.flatten().filter(|changed| *changed);
        let mut filter = SubscriptionFilter::new();
        filter.tools_list_changed = announces(capabilities.tools.as_ref().map(|tools| tools.list_changed));
        filter.prompts_list_changed =
            announces(capabilities.prompts.as_ref().map(|prompts| prompts.list_changed));
        filter.resources_list_changed =
            announces(capabilities.resources.as_ref().map(|resources| resources.list_changed));
        if !uris.is_empty() {
            filter.resource_subscriptions = Some(uris.iter().cloned().collect());
        }
        (filter != SubscriptionFilter::new()).then_some(filter)
    }
}

/// Reads announcements until the subscription ends.
async fn read_announcements(mut subscription: Subscription, changes: &AnnouncedChanges) {
    while let Ok(Some(announcement)) = subscription.next().await {
        match announcement {
            ServerNotification::ToolListChangedNotification(_) => changes.announce(&[ListKind::Tools]),
            ServerNotification::PromptListChangedNotification(_) => changes.announce(&[ListKind::Prompts]),
            ServerNotification::ResourceListChangedNotification(_) => changes.announce(&ListKind::RESOURCES),
            ServerNotification::ResourceUpdatedNotification(updated) => {
                changes.announce_update(updated.params.uri);
            }
            _ => {}
        }
    }
}
