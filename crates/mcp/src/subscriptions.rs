//! `SubscriptionHub`: the clients that are notified of updates of a server's resources; `UpdateQueue`: the updates that
//! a client was not notified of yet.
//!
//! A queue contains each resource once, however often it is updated, and only resources that its client has subscribed
//! to. So it is bounded by the client's own subscriptions.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// The maximum number of resources that one client is notified of.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 256;

/// The updated resources of one client.
#[derive(Debug, Default)]
pub(crate) struct UpdateQueue {
    updated: Mutex<BTreeSet<String>>,
    notify: Notify,
}

impl UpdateQueue {
    fn push(&self, uri: &str) {
        self.updated.lock().insert(uri.to_owned());
        self.notify.notify_one();
    }

    /// Waits for an updated resource, and returns its URI. Cancel safe.
    pub(crate) async fn next(&self) -> String {
        loop {
            if let Some(uri) = self.updated.lock().pop_first() {
                return uri;
            }
            self.notify.notified().await;
        }
    }
}

/// The subscriptions to the resources of one server.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionHub {
    subscribers: Mutex<HashMap<u64, Subscriber>>,
    /// Counts changes of the subscribers, and processes that know none of them yet.
    changes: watch::Sender<u64>,
    /// The change up to which the server's process knows the subscriptions.
    synced: watch::Sender<u64>,
}

#[derive(Debug)]
struct Subscriber {
    uri: String,
    queue: Arc<UpdateQueue>,
}

impl SubscriptionHub {
    /// Adds a subscription, which ends when the returned value is dropped.
    pub(crate) fn subscribe(self: &Arc<Self>, uri: &str, queue: &Arc<UpdateQueue>) -> ResourceSubscription {
        let subscriber = Subscriber { uri: uri.to_owned(), queue: Arc::clone(queue) };
        let id = self.request_sync();
        self.subscribers.lock().insert(id, subscriber);
        // Again, because the subscriber was not there before.
        self.request_sync();
        ResourceSubscription { hub: Arc::clone(self), id, kept: None }
    }

    /// Requests that the subscriptions are sent to the server's process, and returns the number of this change.
    pub(crate) fn request_sync(&self) -> u64 {
        let mut change = 0;
        self.changes.send_modify(|count| {
            *count += 1;
            change = *count;
        });
        change
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Records that the server's process knows the subscriptions of this change.
    pub(crate) fn mark_synced(&self, change: u64) {
        self.synced.send_replace(change);
    }

    /// Waits until the server's process knows all present subscriptions. Cancel safe.
    pub(crate) async fn wait_synced(&self) {
        let change = *self.changes.borrow();
        // The sender lives as long as `self`. The returned guard is a lock, so it is dropped at once.
        drop(self.synced.subscribe().wait_for(|synced| *synced >= change).await);
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        !self.subscribers.lock().is_empty()
    }

    /// Returns the resources that have a subscriber.
    pub(crate) fn uris(&self) -> BTreeSet<String> {
        self.subscribers.lock().values().map(|subscriber| subscriber.uri.clone()).collect()
    }

    /// Notifies the subscribers of a resource, or of one that contains it.
    pub(crate) fn publish(&self, updated: &str) {
        let contains = |uri: &str| {
            updated
                .strip_prefix(uri)
                .is_some_and(|rest| rest.is_empty() || uri.ends_with('/') || rest.starts_with('/'))
        };
        for Subscriber { uri, queue } in self.subscribers.lock().values() {
            if contains(uri) {
                queue.push(uri);
            }
        }
    }
}

/// A subscription of one client to one resource.
#[derive(Debug)]
pub(crate) struct ResourceSubscription {
    hub: Arc<SubscriptionHub>,
    id: u64,
    /// Keeps the server running.
    kept: Option<Box<dyn Any + Send + Sync>>,
}

impl ResourceSubscription {
    /// Keeps a value as long as the subscription lives.
    pub(crate) fn keeping(mut self, kept: Box<dyn Any + Send + Sync>) -> Self {
        self.kept = Some(kept);
        self
    }
}

impl Drop for ResourceSubscription {
    fn drop(&mut self) {
        self.hub.subscribers.lock().remove(&self.id);
        self.hub.request_sync();
    }
}

/// The subscriptions of one legacy client, which it begins and ends by separate requests.
#[derive(Debug, Default)]
pub(crate) struct ClientSubscriptions {
    queue: Arc<UpdateQueue>,
    by_uri: Mutex<BTreeMap<String, ResourceSubscription>>,
}

impl ClientSubscriptions {
    pub(crate) fn queue(&self) -> &Arc<UpdateQueue> {
        &self.queue
    }

    /// Keeps a subscription, unless the client has too many.
    pub(crate) fn insert(&self, uri: String, subscription: ResourceSubscription) -> bool {
        let mut by_uri = self.by_uri.lock();
        let has_room = by_uri.len() < MAX_SUBSCRIPTIONS || by_uri.contains_key(&uri);
        if has_room {
            by_uri.insert(uri, subscription);
        }
        has_room
    }

    pub(crate) fn remove(&self, uri: &str) {
        self.by_uri.lock().remove(uri);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn update_queue_has_each_resource_once() {
        let (hub, client) = (Arc::new(SubscriptionHub::default()), ClientSubscriptions::default());
        for uri in ["x:a", "x:b"] {
            assert!(client.insert(uri.to_owned(), hub.subscribe(uri, client.queue())));
        }
        for updated in ["x:b", "x:a", "x:a", "x:a/part", "x:ab", "x:c"] {
            hub.publish(updated);
        }
        assert_eq!([client.queue().next().await, client.queue().next().await], ["x:a", "x:b"]);
        let more = tokio::time::timeout(std::time::Duration::from_secs(1), client.queue().next()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[test]
    fn subscription_hub_forgets_dropped_subscriptions() {
        let (hub, client) = (Arc::new(SubscriptionHub::default()), ClientSubscriptions::default());
        let before = *hub.changes().borrow();
        for index in 0..=MAX_SUBSCRIPTIONS {
            let uri = format!("x:{index}");
            let kept = client.insert(uri.clone(), hub.subscribe(&uri, client.queue()));
            assert_eq!(kept, index < MAX_SUBSCRIPTIONS);
        }
        assert_eq!(hub.uris().len(), MAX_SUBSCRIPTIONS);
        client.remove("x:0");
        assert!(!hub.uris().contains("x:0") && *hub.changes().borrow() > before);
        drop(client);
        assert!(hub.uris().is_empty());
    }
}
