//! `Upstream`: the source that every peer stands in front of. It takes its time, counts, and fails when told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::payload::Payload;

/// The lifetime of what is issued once the first set is out.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// How the source behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// A first set of this lifetime, issued at once and not counted; none for a cold start.
    pub(crate) first: Option<Duration>,
    /// How long every later call takes.
    pub(crate) delay: Duration,
    /// Whether every later call fails.
    pub(crate) fails: bool,
}

impl Script {
    /// Answers at once, for an hour.
    pub(crate) const WARM: Self = Self { first: Some(HOUR), delay: Duration::ZERO, fails: false };
}

/// Clones share the count.
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Arc<Source>);

#[derive(Debug)]
struct Source {
    script: Script,
    begun: AtomicU64,
}

/// What one call brings.
pub(crate) struct Answer {
    pub(crate) payload: Payload,
    pub(crate) lifetime: Duration,
    pub(crate) expires_at: SystemTime,
}

/// The source said no, transiently.
#[derive(Debug)]
pub(crate) struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the upstream is told to fail")
    }
}

impl std::error::Error for Refused {}

impl Upstream {
    pub(crate) fn new(script: Script) -> Self {
        Self(Arc::new(Source { script, begun: AtomicU64::new(0) }))
    }

    pub(crate) async fn ask(&self) -> Result<Answer, Refused> {
        let before = self.0.begun.fetch_add(1, Ordering::SeqCst);
        let Script { first, delay, fails } = self.0.script;
        if let Some(lifetime) = first.filter(|_| before == 0) {
            return Ok(Answer::of(before, lifetime));
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if fails { Err(Refused) } else { Ok(Answer::of(before, HOUR)) }
    }

    /// The lifetime of the set that is issued at once, if there is one.
    pub(crate) fn first_lifetime(&self) -> Option<Duration> {
        self.0.script.first
    }

    /// The calls begun, but for the one that brought the first set.
    pub(crate) fn calls(&self) -> u64 {
        let first = u64::from(self.0.script.first.is_some());
        self.0.begun.load(Ordering::SeqCst).saturating_sub(first)
    }
}

impl Answer {
    fn of(number: u64, lifetime: Duration) -> Self {
        Self { payload: Payload::numbered(number), lifetime, expires_at: SystemTime::now() + lifetime }
    }
}
