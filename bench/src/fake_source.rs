//! `Upstream`: the credential source of all peers. It counts calls, and can delay and fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::payload::Payload;

/// The lifetime of all credentials but the first.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// The behaviour of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// The lifetime of first credentials, which are issued immediately and not counted. `None` for a cold start.
    pub(crate) first_lifetime: Option<Duration>,
    /// The duration of each later call.
    pub(crate) call_time: Duration,
    /// Whether each later call fails.
    pub(crate) is_failing: bool,
}

impl Script {
    /// Responds immediately, with a lifetime of one hour.
    pub(crate) const WARM: Self =
        Self { first_lifetime: Some(LIFETIME), call_time: Duration::ZERO, is_failing: false };
}

/// Clones share the count.
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Arc<UpstreamState>);

#[derive(Debug)]
struct UpstreamState {
    script: Script,
    started_calls: AtomicU64,
}

/// The result of one call.
pub(crate) struct UpstreamResponse {
    pub(crate) payload: Payload,
    pub(crate) lifetime: Duration,
    pub(crate) expires_at: SystemTime,
}

/// A transient failure of the source.
#[derive(Debug)]
pub(crate) struct UpstreamError;

impl std::fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the upstream is configured to fail")
    }
}

impl std::error::Error for UpstreamError {}

impl Upstream {
    pub(crate) fn new(script: Script) -> Self {
        Self(Arc::new(UpstreamState { script, started_calls: AtomicU64::new(0) }))
    }

    pub(crate) async fn call(&self) -> Result<UpstreamResponse, UpstreamError> {
        let before = self.0.started_calls.fetch_add(1, Ordering::SeqCst);
        let Script { first_lifetime: first, call_time: delay, is_failing: fails } = self.0.script;
        if let Some(lifetime) = first.filter(|_| before == 0) {
            return Ok(UpstreamResponse::new(before, lifetime));
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if fails { Err(UpstreamError) } else { Ok(UpstreamResponse::new(before, LIFETIME)) }
    }

    /// Returns the lifetime of the first credentials, if they are issued immediately.
    pub(crate) fn first_lifetime(&self) -> Option<Duration> {
        self.0.script.first_lifetime
    }

    /// Returns the number of started calls, without the one for the first credentials.
    pub(crate) fn call_count(&self) -> u64 {
        let first = u64::from(self.0.script.first_lifetime.is_some());
        self.0.started_calls.load(Ordering::SeqCst).saturating_sub(first)
    }
}

impl UpstreamResponse {
    fn new(number: u64, lifetime: Duration) -> Self {
        Self { payload: Payload::with_number(number), lifetime, expires_at: SystemTime::now() + lifetime }
    }
}
