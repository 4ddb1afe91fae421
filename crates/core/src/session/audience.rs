//! `LazyWatch`: a watch channel that exists only while there are receivers; most sessions have none.

use tokio::sync::watch;

pub(super) struct LazyWatch<T>(Option<watch::Sender<T>>);

impl<T> LazyWatch<T> {
    /// Subscribes to the channel, which starts with the value `now`.
    pub(super) fn subscribe(&mut self, now: T) -> watch::Receiver<T> {
        self.0.get_or_insert_with(|| watch::Sender::new(now)).subscribe()
    }

    /// Sends `news`, and drops the channel when no receivers are left.
    pub(super) fn notify(&mut self, news: T) {
        self.0 = self.0.take().filter(|sender| sender.send(news).is_ok());
    }
}

impl<T> Default for LazyWatch<T> {
    fn default() -> Self {
        Self(None)
    }
}
