//! Upstream of one account: it numbers what it issues, and counts how often it is called.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::testing::ManualClock;
use valetkey_core::{
    Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry, Result, SessionAccount,
};

use crate::session_fixture::numbered;

/// How a source behaves from now on.
#[derive(Debug, Clone, Copy)]
pub(super) enum UpstreamBehavior {
    Issues { minutes: u64 },
    IssuesUnexpiring,
    IssuesExpired,
    Fails(ErrorKind),
}

/// While it is closed, no source responds. The test polls the waiting calls itself, so they need not be woken.
#[derive(Debug, Clone, Default)]
pub(super) struct ResponseLatch(Arc<AtomicBool>);

impl ResponseLatch {
    pub(super) fn set_closed(&self, yes: bool) {
        self.0.store(yes, Ordering::SeqCst);
    }

    async fn wait_open(&self) {
        poll_fn(|_| if self.0.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
}

#[derive(Debug, Clone)]
pub(super) struct ModelProvider(Arc<ModelProviderState>);

#[derive(Debug)]
struct ModelProviderState {
    clock: ManualClock,
    latch: ResponseLatch,
    /// The numbers of its credentials begin here.
    base: u64,
    issued: AtomicU64,
    calls: AtomicU64,
    upstream: Mutex<UpstreamBehavior>,
    signer: Option<SessionAccount>,
}

impl ModelProvider {
    /// The `index`th source; it works with `signer`, if there is one, before it issues anything.
    pub(super) fn new(
        index: usize,
        clock: &ManualClock,
        gate: &ResponseLatch,
        signer: Option<SessionAccount>,
    ) -> Self {
        Self(Arc::new(ModelProviderState {
            clock: clock.clone(),
            latch: gate.clone(),
            base: (index as u64 + 1) * 1_000_000,
            issued: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            upstream: Mutex::new(UpstreamBehavior::Issues { minutes: 60 }),
            signer,
        }))
    }

    pub(super) fn set_behavior(&self, upstream: UpstreamBehavior) {
        *self.0.upstream.lock().unwrap() = upstream;
    }

    pub(super) fn behavior(&self) -> UpstreamBehavior {
        *self.0.upstream.lock().unwrap()
    }

    pub(super) fn call_count(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// The number of the credentials that it issued last.
    pub(super) fn last_number(&self) -> u64 {
        self.0.base + self.0.issued.load(Ordering::SeqCst)
    }

    fn issue(&self, expiry: Expiry) -> Credentials {
        self.0.issued.fetch_add(1, Ordering::SeqCst);
        numbered(self.last_number(), expiry)
    }
}

#[async_trait]
impl CredentialProvider for ModelProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("source")
    }

    async fn provide(&self) -> Result<Credentials> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(signer) = &self.0.signer {
            signer.credentials().await?;
        }
        self.0.latch.wait_open().await;
        let now = self.0.clock.now();
        match self.behavior() {
            UpstreamBehavior::Issues { minutes } => {
                Ok(self.issue(Expiry::At(now + Duration::from_secs(60 * minutes))))
            }
            UpstreamBehavior::IssuesUnexpiring => Ok(self.issue(Expiry::Never)),
            UpstreamBehavior::IssuesExpired => Ok(self.issue(Expiry::At(now))),
            UpstreamBehavior::Fails(kind) => Err(Error::new(kind, "the source is set to fail")),
        }
    }
}
