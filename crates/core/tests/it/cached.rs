//! `CachedResolver`: what is kept and for how long, one lookup for all, and nothing after a forget.

mod lookups;
mod random;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::testing::{Canary, ManualClock, Script, ScriptedProvider};
use valetkey_core::{
    CachedResolver, CredentialId, CredentialProvider, CredentialResolver, Credentials, Error, ErrorKind,
    Expiry, Result,
};

use crate::bench::*;

fn id(text: &str) -> CredentialId {
    text.parse().unwrap()
}

/// Answers any id by its script, and counts how often it was told to forget.
#[derive(Debug, Clone)]
struct Source {
    script: ScriptedProvider,
    forgotten: Arc<AtomicUsize>,
}

#[async_trait]
impl CredentialResolver for Source {
    fn name(&self) -> Cow<'static, str> {
        self.script.name()
    }

    async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
        self.script.provide().await
    }

    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }
}

struct Desk {
    clock: ManualClock,
    source: Source,
    resolver: CachedResolver,
}

impl Desk {
    fn new(script: impl FnOnce(&ManualClock) -> Vec<Script>) -> Self {
        Self::of(ManualClock::new(), |clock| ScriptedProvider::new(script(clock)))
    }

    fn gated(script: impl FnOnce(&ManualClock) -> Vec<Script>) -> Self {
        Self::of(ManualClock::new(), |clock| ScriptedProvider::gated(script(clock)))
    }

    fn of(clock: ManualClock, script: impl FnOnce(&ManualClock) -> ScriptedProvider) -> Self {
        let source = Source { script: script(&clock), forgotten: Arc::default() };
        let resolver = CachedResolver::new(source.clone()).clock(Arc::new(clock.clone()));
        Self { clock, source, resolver }
    }

    /// The number of the set that `name` is resolved to.
    async fn number(&self, name: &str) -> Result<u64> {
        self.resolver.resolve(&id(name)).await.map(|credentials| number(&credentials))
    }

    fn lookups(&self) -> usize {
        self.source.script.calls()
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_and_never_into_its_last_minute() {
    let kept = |ttl, lifetime, kept_for| (ttl, lifetime, kept_for);
    for (ttl, lifetime, kept_for) in [
        kept(None, None, 5 * MINUTE),
        kept(None, Some(HOUR), 5 * MINUTE),
        kept(None, Some(6 * MINUTE), 5 * MINUTE),
        kept(None, Some(4 * MINUTE), 3 * MINUTE),
        kept(None, Some(MINUTE), Duration::ZERO),
        kept(None, Some(SECOND), Duration::ZERO),
        kept(Some(20 * SECOND), Some(HOUR), 20 * SECOND),
        kept(Some(Duration::ZERO), None, Duration::ZERO),
    ] {
        let mut desk = Desk::new(|clock| {
            let expiry = |lifetime| Expiry::At(valetkey_core::Clock::now(clock) + lifetime);
            vec![Script::Answer(numbered(1, lifetime.map_or(Expiry::Never, expiry)))]
        });
        desk.resolver = ttl.into_iter().fold(desk.resolver, CachedResolver::ttl);
        desk.number("one").await.unwrap();
        let while_kept = kept_for.saturating_sub(SECOND);
        desk.clock.advance(while_kept);
        desk.number("one").await.unwrap();
        let asked_at_once = usize::from(kept_for.is_zero());
        assert_eq!(desk.lookups(), 1 + asked_at_once, "{ttl:?}, {lifetime:?}: while it is kept");
        desk.clock.advance(kept_for - while_kept);
        desk.number("one").await.unwrap();
        assert_eq!(desk.lookups(), 2 + asked_at_once, "{ttl:?}, {lifetime:?}: at the end");
    }
}

#[tokio::test]
async fn a_refusal_is_remembered_for_one_to_five_seconds_and_nothing_else_that_fails() {
    for (kind, remembered) in [
        (ErrorKind::Denied, true),
        (ErrorKind::InteractionRequired, true),
        (ErrorKind::Invalid, true),
        (ErrorKind::NotConfigured, false),
        (ErrorKind::Expired, false),
        (ErrorKind::Throttled, false),
        (ErrorKind::TimedOut, false),
        (ErrorKind::Unavailable, false),
        (ErrorKind::Closed, false),
        (ErrorKind::Internal, false),
    ] {
        let desk = Desk::new(|_| vec![Script::Fail(Error::new(kind, "no"))]);
        for _ in 0..3 {
            let error = desk.number("one").await.unwrap_err();
            assert_eq!((error.kind(), error.provider()), (kind, Some("scripted")));
            desk.clock.advance(SECOND / 3);
        }
        assert_eq!(desk.lookups(), if remembered { 1 } else { 3 }, "{kind:?}: within the second");
        desk.clock.advance(4 * SECOND);
        desk.number("one").await.unwrap_err();
        assert_eq!(desk.lookups(), if remembered { 2 } else { 4 }, "{kind:?}: after five");
    }
}

#[tokio::test]
async fn how_long_a_refusal_is_remembered_differs_from_one_to_the_next() {
    let mut lasted = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let desk = Desk::new(|_| vec![denied()]);
        desk.number("one").await.unwrap_err();
        let mut after = Duration::ZERO;
        while desk.lookups() == 1 {
            desk.clock.advance(SECOND / 10);
            after += SECOND / 10;
            desk.number("one").await.unwrap_err();
        }
        assert!((SECOND..=5 * SECOND).contains(&after), "{after:?}");
        lasted.insert(after);
    }
    assert!(lasted.len() > 1, "{lasted:?}");
}

#[tokio::test]
async fn ids_are_kept_apart() {
    let desk = Desk::new(|clock| vec![answer(clock, 1, HOUR), answer(clock, 2, HOUR), denied()]);
    assert_eq!((desk.number("one").await.unwrap(), desk.number("two").await.unwrap()), (1, 2));
    assert_eq!(desk.number("three").await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!((desk.number("one").await.unwrap(), desk.number("two").await.unwrap()), (1, 2));
    assert_eq!(desk.lookups(), 3);
}

#[tokio::test]
async fn a_clock_that_jumps_back_prolongs_nothing() {
    let desk = Desk::new(|clock| vec![answer(clock, 1, HOUR), answer(clock, 2, HOUR)]);
    assert_eq!(desk.number("one").await.unwrap(), 1);
    desk.clock.jump_back(SECOND);
    assert_eq!(desk.number("one").await.unwrap(), 2);
}

#[tokio::test]
async fn beyond_its_capacity_the_oldest_goes() {
    let mut desk = Desk::new(|clock| (1..=9).map(|n| answer(clock, n, HOUR)).collect());
    desk.resolver = desk.resolver.capacity(2);
    for (name, expected) in [("b", 1), ("c", 2), ("a", 3), ("c", 2), ("a", 3), ("b", 4), ("a", 3), ("c", 5)] {
        assert_eq!(desk.number(name).await.unwrap(), expected, "{name}");
        desk.clock.advance(SECOND);
    }
    desk.resolver = desk.resolver.capacity(0);
    assert_eq!((desk.number("a").await.unwrap(), desk.number("a").await.unwrap()), (6, 7), "none is kept");
}

#[tokio::test]
async fn what_is_kept_shows_nowhere() {
    let (canary, refused) = (Canary::new(), Canary::new());
    let answer = Script::Answer(canary.credentials(Expiry::Never).unwrap());
    let desk = Desk::new(|_| vec![answer, Script::Panic]);
    let kept = desk.resolver.resolve(&id("one")).await.unwrap();
    assert_eq!(kept.expose_secret_access_key(), canary.expose_secret());
    let error =
        desk.resolver.resolve(&id(&refused.expose_secret().replace(['/', '+'], "-"))).await.unwrap_err();
    let shown = format!("{:?} {kept:?} {error} {error:?}", desk.resolver);
    assert!(canary.found_in(&shown).is_empty() && refused.found_in(&shown).is_empty(), "{shown}");
    assert_eq!(desk.resolver.name(), "scripted", "it speaks for the resolver it stands before");
}
