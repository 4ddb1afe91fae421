//! Cancellation at every await: a waiting caller may be dropped after any number of polls, at no cost to others.

mod concurrent;
mod panics;
mod runtimes;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use valetkey_core::testing::ManualClock;
use valetkey_core::{AccountName, CredentialProvider, Credentials, Result, SessionContext};

use crate::session_fixture::*;

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// As many polls as a fetch needs here at most.
const MOST: usize = 4;

/// A provider that numbers its credentials and returns them at the last of a given number of polls.
#[derive(Debug, Clone)]
struct SlowProvider(Arc<SlowProviderInner>);

#[derive(Debug)]
struct SlowProviderInner {
    clock: ManualClock,
    polls: AtomicUsize,
    panics: AtomicBool,
    calls: AtomicUsize,
    under_way: AtomicUsize,
}

impl SlowProvider {
    fn new(clock: &ManualClock) -> Self {
        Self(Arc::new(SlowProviderInner {
            clock: clock.clone(),
            polls: AtomicUsize::new(1),
            panics: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        }))
    }

    fn call_count(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Calls that have begun and have neither returned nor been dropped.
    fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::SeqCst)
    }

    /// Takes `polls` polls from now on.
    fn set_polls_per_call(&self, polls: usize) {
        self.0.polls.store(polls, Ordering::SeqCst);
    }

    fn set_panics(&self, yes: bool) {
        self.0.panics.store(yes, Ordering::SeqCst);
    }
}

struct InFlightGuard<'a>(&'a SlowProviderInner);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl CredentialProvider for SlowProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("slow")
    }

    async fn provide(&self) -> Result<Credentials> {
        let n = self.0.calls.fetch_add(1, Ordering::SeqCst) as u64 + 1;
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = InFlightGuard(&self.0);
        for _ in 1..self.0.polls.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        if self.0.panics.load(Ordering::SeqCst) {
            panic!("the provider is set to panic");
        }
        Ok(expiring(&self.0.clock, n, 2 * HOUR))
    }
}

/// Where a fetch may be under way.
#[derive(Debug, Clone, Copy)]
enum RefreshWindow {
    Cold,
    Advisory,
    Mandatory,
    Expired,
}

const WINDOWS: [RefreshWindow; 4] =
    [RefreshWindow::Cold, RefreshWindow::Advisory, RefreshWindow::Mandatory, RefreshWindow::Expired];

struct CancellationFixture {
    clock: ManualClock,
    provider: SlowProvider,
    session: SessionContext,
    /// How often the provider was called before the fetch that matters.
    earlier_fetches: usize,
}

impl CancellationFixture {
    /// A session in this window, whose next fetch takes `polls` polls.
    async fn new(window: RefreshWindow, polls: usize) -> Self {
        let clock = ManualClock::new();
        let provider = SlowProvider::new(&clock);
        let session = builder(&clock).provider(provider.clone()).build();
        let left = match window {
            RefreshWindow::Cold => None,
            RefreshWindow::Advisory => Some(30 * MINUTE),
            RefreshWindow::Mandatory => Some(30 * SECOND),
            RefreshWindow::Expired => Some(Duration::ZERO),
        };
        if let Some(left) = left {
            session.credentials().await.unwrap();
            clock.advance(2 * HOUR - left);
        }
        provider.set_polls_per_call(polls);
        let before = provider.call_count();
        Self { clock, provider, session, earlier_fetches: before }
    }

    fn get(&self) -> Waiting<'static, Result<u64>> {
        let session = self.session.clone();
        Box::pin(async move { session.credentials().await.map(|credentials| number(&credentials)) })
    }

    /// Always fetches, or joins the fetch under way; returns the number of the credentials served afterwards.
    fn refresh(&self) -> Waiting<'static, Result<u64>> {
        let session = self.session.clone();
        Box::pin(async move {
            session.refresh().await?;
            Ok(number(&session.current().unwrap().credentials))
        })
    }

    fn fetch_count(&self) -> usize {
        self.provider.call_count() - self.earlier_fetches
    }

    /// Another caller gets credentials that were fetched just now.
    async fn assert_fetches_anew(&self) {
        assert!(self.get().await.unwrap() > self.earlier_fetches as u64);
    }
}

fn default() -> AccountName {
    AccountName::default_account()
}

async fn poll<T>(waiting: &mut Waiting<'_, T>, times: usize) -> Option<T> {
    for _ in 0..times {
        if let Some(done) = poll_once(waiting).await {
            return Some(done);
        }
    }
    None
}

/// Every window, every length of a fetch, and every number of polls up to its end.
fn cases() -> impl Iterator<Item = (RefreshWindow, usize, usize)> {
    WINDOWS.into_iter().flat_map(|window| {
        (1..=MOST).flat_map(move |polls| (0..=polls).map(move |after| (window, polls, after)))
    })
}

#[tokio::test]
async fn cancelled_caller_costs_at_most_one_more_fetch() {
    for (window, polls, after) in cases() {
        for ask in [CancellationFixture::get, CancellationFixture::refresh] {
            let case = format!("{window:?}, left after {after} of {polls} polls");
            let fixture = CancellationFixture::new(window, polls).await;
            let mut leaver = ask(&fixture);
            assert_eq!(poll(&mut leaver, after).await.is_some(), after == polls, "{case}");
            drop(leaver);
            assert_eq!(fixture.provider.under_way(), 0, "{case}: no caller waits for it any more");
            fixture.assert_fetches_anew().await;
            // One that came to its end was published; one that was left half-way is begun again.
            let again = usize::from((1..polls).contains(&after));
            assert_eq!(fixture.fetch_count(), 1 + again, "{case}");
        }
    }
}

#[tokio::test]
async fn cancelled_caller_leaves_fetch_to_concurrent_caller() {
    for (window, polls, after) in cases().filter(|(_, polls, after)| (1..*polls).contains(after)) {
        for ask in [CancellationFixture::get, CancellationFixture::refresh] {
            let case = format!("{window:?}, left after {after} of {polls} polls");
            let fixture = CancellationFixture::new(window, polls).await;
            let (mut leaver, mut other) = (ask(&fixture), fixture.refresh());
            assert!(poll(&mut leaver, after).await.is_none(), "{case}");
            if let Some(done) = poll_once(&mut other).await {
                done.unwrap();
            } else {
                drop(leaver);
                other.await.unwrap();
            }
            fixture.assert_fetches_anew().await;
            assert_eq!(fixture.fetch_count(), 1, "{case}");
        }
    }
}

#[tokio::test]
async fn stalled_caller_blocks_no_other_caller() {
    for (window, polls, after) in cases().filter(|(_, _, after)| *after > 0) {
        for ask in [CancellationFixture::get, CancellationFixture::refresh] {
            let case = format!("{window:?}, stalled after {after} of {polls} polls");
            let fixture = CancellationFixture::new(window, polls).await;
            let mut stalled = ask(&fixture);
            let done = poll(&mut stalled, after).await.is_some();
            for other in [fixture.refresh(), fixture.get(), fixture.get()] {
                other.await.unwrap();
            }
            assert_eq!(fixture.fetch_count(), 1 + usize::from(done), "{case}");
            if !done {
                assert_eq!(
                    stalled.await.unwrap(),
                    fixture.earlier_fetches as u64 + 1,
                    "{case}: the stalled caller may continue"
                );
            }
        }
    }
}

#[tokio::test]
async fn cancelled_by_all_callers_next_call_fetches_once() {
    for (window, polls, after) in cases().filter(|(_, polls, after)| (1..*polls).contains(after)) {
        let case = format!("{window:?}, all left after {after} of {polls} polls");
        let fixture = CancellationFixture::new(window, polls).await;
        // Any of them drives the fetch, so that together they poll it `after` times.
        let mut all: Vec<_> = (0..after).map(|_| fixture.refresh()).collect();
        for one in &mut all {
            assert!(poll_once(one).await.is_none(), "{case}");
        }
        assert_eq!((fixture.fetch_count(), fixture.provider.under_way()), (1, 1), "{case}");
        drop(all);
        assert_eq!(fixture.provider.under_way(), 0, "{case}");
        fixture.assert_fetches_anew().await;
        assert_eq!(fixture.fetch_count(), 2, "{case}");
    }
}

#[tokio::test]
async fn aborted_task_leaves_no_fetch_in_flight() {
    for window in WINDOWS {
        for turns in 0..3 * MOST {
            let fixture = CancellationFixture::new(window, MOST).await;
            let task = tokio::spawn(fixture.get());
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            task.abort();
            let _cancelled_or_done = task.await;
            assert_eq!(fixture.provider.under_way(), 0);
            fixture.assert_fetches_anew().await;
            assert!(
                fixture.fetch_count() <= 2,
                "{window:?}, {turns} turns: asked {} times",
                fixture.fetch_count()
            );
        }
    }
}

#[tokio::test]
async fn clock_advance_during_fetch_keeps_its_result() {
    for polls in 2..=MOST {
        let fixture = CancellationFixture::new(RefreshWindow::Advisory, polls).await;
        let mut caller = fixture.get();
        assert!(poll_once(&mut caller).await.is_none());
        fixture.clock.advance(HOUR);
        assert_eq!(caller.await.unwrap(), 2, "what was asked for in one window comes in another");
        assert_eq!(fixture.fetch_count(), 1);
    }
}
