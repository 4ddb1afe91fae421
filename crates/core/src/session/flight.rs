//! A fetch in flight: one future that any of its waiters can drive.
//!
//! The slot keeps only a weak reference. So a waiter that is dropped, or never polled again, stops nobody, and a
//! fetch that nobody waits for any more ends.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::freshness::Issued;
use crate::audit::AuditRecord;
use crate::{CredentialProvider, Credentials, Error, ErrorKind, Result};

/// How a fetch ended, told to every waiter.
#[derive(Clone)]
pub(super) enum Outcome {
    Published(Arc<Issued>),
    /// The account was set, cleared or closed meanwhile: what came back was dropped.
    Superseded,
    Failed(Error),
}

impl Outcome {
    /// What the trail says of it.
    pub(super) fn describe(&self, record: AuditRecord) -> AuditRecord {
        match self {
            Self::Published(issued) => {
                record.credentials(issued.credentials()).generation(issued.id.generation())
            }
            Self::Failed(error) => record.party(error.provider().unwrap_or("unknown")).failure(error),
            Self::Superseded => record,
        }
    }
}

pub(super) type Flight = Shared<BoxFuture<'static, Outcome>>;
pub(super) type WeakFlight = WeakShared<BoxFuture<'static, Outcome>>;

/// One attempt, in bounded time, with a panic turned into an error. None when the runtime that kept the time is gone: it
/// was the first caller's, and others may be waiting elsewhere.
pub(super) async fn attempt(
    provider: Arc<dyn CredentialProvider>,
    limit: Duration,
) -> Option<Result<Credentials>> {
    let name = catch_unwind(AssertUnwindSafe(|| provider.name())).unwrap_or(Cow::Borrowed("unknown"));
    let fetch = AssertUnwindSafe(async { provider.provide().await }).catch_unwind();
    let in_time = tokio::time::timeout(limit, fetch);
    // A timer panics when its runtime is shut down; what the provider does is caught already.
    let answer = match AssertUnwindSafe(in_time).catch_unwind().await.ok()? {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(Error::new(ErrorKind::Internal, "the provider panicked")),
        Err(_elapsed) => {
            Err(Error::new(ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs_f32())))
        }
    };
    Some(answer.map_err(|error| error.with_provider(name)))
}
