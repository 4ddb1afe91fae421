//! `SingleFlight`: one fetch at a time, shared by all callers that wait for it.
//!
//! Any of the waiting callers can drive the future, so a caller that is dropped, or not polled again, blocks no other
//! caller. Only a weak reference is kept here, so a fetch for which no caller waits any more ends.

use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// A fetch in flight. Each caller that waits for it holds a clone.
pub(crate) type Flight<T> = Shared<BoxFuture<'static, T>>;

/// The place of at most one fetch in flight.
pub(crate) struct SingleFlight<T>(Option<WeakShared<BoxFuture<'static, T>>>);

impl<T: Clone> SingleFlight<T> {
    /// Returns the fetch in flight, unless no caller waits for it any more.
    ///
    /// A fetch that has finished is returned as well while a caller still holds it; [`forget`](Self::forget) prevents
    /// that.
    pub(crate) fn in_flight(&self) -> Option<Flight<T>> {
        self.0.as_ref().and_then(WeakShared::upgrade)
    }

    /// Starts a fetch in place of the one before. Nothing runs until the returned future is polled.
    ///
    /// The callers of the fetch before keep it: they still receive its result.
    pub(crate) fn start(&mut self, fetch: impl Future<Output = T> + Send + 'static) -> Flight<T> {
        let flight = fetch.boxed().shared();
        self.0 = flight.downgrade();
        flight
    }

    /// Forgets the fetch: later callers start another one.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn single_flight_is_shared_by_its_callers() {
        let runs = Arc::new(AtomicUsize::new(0));
        let mut single = SingleFlight::default();
        let counted = Arc::clone(&runs);
        let first = single.start(async move { counted.fetch_add(1, Ordering::SeqCst) + 1 });
        let second = single.in_flight().unwrap();
        // The caller that started the fetch is gone, and the other one drives it.
        drop(first);
        assert_eq!(second.clone().now_or_never(), Some(1));
        assert_eq!(single.in_flight().unwrap().now_or_never(), Some(1));
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn single_flight_without_callers_ends() {
        let witness = Arc::new(());
        let mut single = SingleFlight::default();
        let held = Arc::clone(&witness);
        let flight = single.start(async move { drop(held) });
        drop(flight);
        assert!(single.in_flight().is_none());
        assert_eq!(Arc::strong_count(&witness), 1, "the future is dropped with its last caller");
    }

    #[test]
    fn single_flight_forgotten_is_not_joined() {
        let mut single = SingleFlight::default();
        let flight = single.start(async { 1 });
        single.forget();
        assert!(single.in_flight().is_none());
        assert_eq!(flight.now_or_never(), Some(1), "its callers still get the result");
    }
}
