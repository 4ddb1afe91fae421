//! `SingleFlight`: one fetch at a time, shared by all callers that wait for it; `call_isolated`: the user code that the
//! fetch runs, with a timeout, and with a panic turned into an error.
//!
//! Any of the waiting callers can drive the future, so a caller that is dropped, or not polled again, blocks no other
//! caller. Only a weak reference is kept here, so a fetch for which no caller waits any more ends.
//!
//! A provider, a resolver or a caller lookup may hang or panic. The callers that share the fetch then receive an error,
//! and the session stays usable.

use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::{Error, ErrorKind, Result};

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

/// Describes the user code for errors: its role, and how to read its name.
pub(crate) struct Callee<N> {
    pub(crate) role: &'static str,
    /// Called once; a panic gives the name `unknown`.
    pub(crate) name: N,
}

/// Runs `work` once and returns its result. `None` when the runtime that drives the timer was shut down: it belonged
/// to the first caller, and others may be waiting in another runtime.
///
/// Errors name the callee, unless they name an inner provider already.
///
/// # Errors
/// Those of `work`; `Internal` when it panicked; `TimedOut` when it did not finish within `limit`, in which case it is
/// dropped.
pub(crate) async fn call_isolated<T>(
    worker: Callee<impl Fn() -> Cow<'static, str>>,
    limit: Duration,
    work: impl Future<Output = Result<T>>,
) -> Option<Result<T>> {
    let Callee { role, name } = worker;
    let name = catch_unwind(AssertUnwindSafe(name)).unwrap_or(Cow::Borrowed("unknown"));
    let in_time = tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind());
    // A timer panics when its runtime is shut down. Panics of the work itself are caught already.
    let answer = match AssertUnwindSafe(in_time).catch_unwind().await.ok()? {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(Error::new(ErrorKind::Internal, format!("the {role} panicked"))),
        Err(_elapsed) => {
            let message = format!("no answer within {} s", limit.as_secs_f32());
            Err(Error::new(ErrorKind::TimedOut, message).with_next_step("try again"))
        }
    };
    Some(answer.map_err(|error| error.with_provider(name)))
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
