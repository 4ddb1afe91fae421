//! What is measured: a subject hands out a set, again and again; a peer does so in front of an upstream.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use crate::Result;
use crate::fake_source::Upstream;

/// Something that hands out a set. Loops over it are compiled for each subject on its own.
pub(crate) trait Subject: Send + Sync + 'static {
    /// What it hands out.
    type Fetched;
    /// What it says when there is nothing to hand out.
    type FetchError: Debug + Send;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Self::Fetched, Self::FetchError>> + Send;
}

/// A cache of credentials as its users hold it, empty at first.
pub(crate) trait Peer: Subject + Sized {
    const NAME: &'static str;
    /// With which lifetime a set is born into the peer's refresh window; none for a peer that has no window.
    const STALE_LIFETIME: Option<Duration>;
    /// How long after the first set the window is open, or a set that was just fetched is no longer spared.
    const SETTLE_TIME: Duration = Duration::ZERO;

    fn setup(upstream: Upstream) -> impl Future<Output = Result<Self>> + Send;

    /// What its host would have running when callers come, such as a future that keeps it warm.
    fn run_background(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }
}
