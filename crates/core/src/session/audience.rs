//! `LazyWatch`: a watch that exists only while somebody watches; most sessions are never watched.

use tokio::sync::watch;

pub(super) struct LazyWatch<T>(Option<watch::Sender<T>>);

impl<T> LazyWatch<T> {
    /// Watches from `now` on.
    pub(super) fn subscribe(&mut self, now: T) -> watch::Receiver<T> {
        self.0.get_or_insert_with(|| watch::Sender::new(now)).subscribe()
    }

    /// Tells whoever watches, and is no more when nobody does.
    pub(super) fn notify(&mut self, news: T) {
        self.0 = self.0.take().filter(|sender| sender.send(news).is_ok());
    }
}

impl<T> Default for LazyWatch<T> {
    fn default() -> Self {
        Self(None)
    }
}
