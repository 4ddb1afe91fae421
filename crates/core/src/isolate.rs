//! One attempt to run user code: with a timeout, and with a panic turned into an error.
//!
//! A provider, a resolver or a caller lookup may hang or panic. The callers that share the attempt then receive an
//! error, and the session stays usable.

use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;

use crate::{Error, ErrorKind, Result};

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
