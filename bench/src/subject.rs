//! `Subject` and `Peer`: a subject returns credentials repeatedly; a peer fetches them from an upstream.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use crate::Result;
use crate::fake_source::Upstream;

/// Returns credentials. Loops over it are compiled for each subject.
pub(crate) trait Subject: Send + Sync + 'static {
    /// The returned value.
    type Fetched;
    /// The error of a failed fetch.
    type FetchError: Debug + Send;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Self::Fetched, Self::FetchError>> + Send;
}

/// A credential cache as its users create it, initially empty.
pub(crate) trait Peer: Subject + Sized {
    const NAME: &'static str;
    /// The lifetime with which new credentials are already in the peer's refresh window, or `None` without a window.
    const STALE_LIFETIME: Option<Duration>;
    /// The time after the first fetch at which the refresh window is active.
    const SETTLE_TIME: Duration = Duration::ZERO;

    fn setup(upstream: Upstream) -> impl Future<Output = Result<Self>> + Send;

    /// The background future of its host, such as `keep_warm`.
    fn run_background(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }
}
