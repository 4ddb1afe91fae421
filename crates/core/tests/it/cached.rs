//! `CachedResolver`: what is kept and for how long, one lookup for all, and nothing after a forget.

mod lookup;
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

use crate::session_fixture::*;

fn credential_id(text: &str) -> CredentialId {
    text.parse().unwrap()
}

/// Resolves every id by its script, and counts the calls to `clear_cache`.
#[derive(Debug, Clone)]
struct ScriptedResolver {
    provider: ScriptedProvider,
    clear_count: Arc<AtomicUsize>,
}

#[async_trait]
impl CredentialResolver for ScriptedResolver {
    fn name(&self) -> Cow<'static, str> {
        self.provider.name()
    }

    async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
        self.provider.provide().await
    }

    fn clear_cache(&self) {
        self.clear_count.fetch_add(1, Ordering::SeqCst);
    }
}

struct CachedResolverFixture {
    clock: ManualClock,
    source: ScriptedResolver,
    resolver: CachedResolver,
}

impl CachedResolverFixture {
    fn new(script: impl FnOnce(&ManualClock) -> Vec<Script>) -> Self {
        Self::with_provider(ManualClock::new(), |clock| ScriptedProvider::new(script(clock)))
    }

    fn blocked(script: impl FnOnce(&ManualClock) -> Vec<Script>) -> Self {
        Self::with_provider(ManualClock::new(), |clock| ScriptedProvider::blocked(script(clock)))
    }

    fn with_provider(clock: ManualClock, script: impl FnOnce(&ManualClock) -> ScriptedProvider) -> Self {
        let source = ScriptedResolver { provider: script(&clock), clear_count: Arc::default() };
        let resolver = CachedResolver::new(source.clone()).clock(Arc::new(clock.clone()));
        Self { clock, source, resolver }
    }

    /// The number of the credentials that `name` is resolved to.
    async fn resolve_number(&self, name: &str) -> Result<u64> {
        self.resolver.resolve(&credential_id(name)).await.map(|credentials| number(&credentials))
    }

    fn lookup_count(&self) -> usize {
        self.source.provider.call_count()
    }
}

#[tokio::test]
async fn cached_resolver_keeps_result_for_ttl_until_last_minute() {
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
        let mut fixture = CachedResolverFixture::new(|clock| {
            let expiry = |lifetime| Expiry::At(valetkey_core::Clock::now(clock) + lifetime);
            vec![Script::Answer(numbered(1, lifetime.map_or(Expiry::Never, expiry)))]
        });
        fixture.resolver = ttl.into_iter().fold(fixture.resolver, CachedResolver::ttl);
        fixture.resolve_number("one").await.unwrap();
        let while_kept = kept_for.saturating_sub(SECOND);
        fixture.clock.advance(while_kept);
        fixture.resolve_number("one").await.unwrap();
        let uncached_lookups = usize::from(kept_for.is_zero());
        assert_eq!(fixture.lookup_count(), 1 + uncached_lookups, "{ttl:?}, {lifetime:?}: while it is kept");
        fixture.clock.advance(kept_for - while_kept);
        fixture.resolve_number("one").await.unwrap();
        assert_eq!(fixture.lookup_count(), 2 + uncached_lookups, "{ttl:?}, {lifetime:?}: at the end");
    }
}

#[tokio::test]
async fn cached_resolver_keeps_only_refusals_for_1_to_5_s() {
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
        let fixture = CachedResolverFixture::new(|_| vec![Script::Fail(Error::new(kind, "no"))]);
        for _ in 0..3 {
            let error = fixture.resolve_number("one").await.unwrap_err();
            assert_eq!((error.kind(), error.provider()), (kind, Some("scripted")));
            fixture.clock.advance(SECOND / 3);
        }
        assert_eq!(fixture.lookup_count(), if remembered { 1 } else { 3 }, "{kind:?}: within the second");
        fixture.clock.advance(4 * SECOND);
        fixture.resolve_number("one").await.unwrap_err();
        assert_eq!(fixture.lookup_count(), if remembered { 2 } else { 4 }, "{kind:?}: after five");
    }
}

#[tokio::test]
async fn cached_resolver_refusal_ttl_is_jittered() {
    let mut lasted = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let fixture = CachedResolverFixture::new(|_| vec![fails_denied()]);
        fixture.resolve_number("one").await.unwrap_err();
        let mut after = Duration::ZERO;
        while fixture.lookup_count() == 1 {
            fixture.clock.advance(SECOND / 10);
            after += SECOND / 10;
            fixture.resolve_number("one").await.unwrap_err();
        }
        assert!((SECOND..=5 * SECOND).contains(&after), "{after:?}");
        lasted.insert(after);
    }
    assert!(lasted.len() > 1, "{lasted:?}");
}

#[tokio::test]
async fn cached_resolver_separates_ids() {
    let fixture = CachedResolverFixture::new(|clock| {
        vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR), fails_denied()]
    });
    assert_eq!(
        (fixture.resolve_number("one").await.unwrap(), fixture.resolve_number("two").await.unwrap()),
        (1, 2)
    );
    assert_eq!(fixture.resolve_number("three").await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(
        (fixture.resolve_number("one").await.unwrap(), fixture.resolve_number("two").await.unwrap()),
        (1, 2)
    );
    assert_eq!(fixture.lookup_count(), 3);
}

#[tokio::test]
async fn cached_resolver_clock_rewind_prolongs_nothing() {
    let fixture = CachedResolverFixture::new(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR)]);
    assert_eq!(fixture.resolve_number("one").await.unwrap(), 1);
    fixture.clock.rewind(SECOND);
    assert_eq!(fixture.resolve_number("one").await.unwrap(), 2);
}

#[tokio::test]
async fn cached_resolver_at_capacity_evicts_oldest() {
    let mut fixture = CachedResolverFixture::new(|clock| (1..=9).map(|n| returns(clock, n, HOUR)).collect());
    fixture.resolver = fixture.resolver.capacity(2);
    for (name, expected) in [("b", 1), ("c", 2), ("a", 3), ("c", 2), ("a", 3), ("b", 4), ("a", 3), ("c", 5)] {
        assert_eq!(fixture.resolve_number(name).await.unwrap(), expected, "{name}");
        fixture.clock.advance(SECOND);
    }
    fixture.resolver = fixture.resolver.capacity(0);
    assert_eq!(
        (fixture.resolve_number("a").await.unwrap(), fixture.resolve_number("a").await.unwrap()),
        (6, 7),
        "none is kept"
    );
}

#[tokio::test]
async fn cached_resolver_debug_and_errors_show_no_secret() {
    let (canary, refused) = (Canary::new(), Canary::new());
    let answer = Script::Answer(canary.credentials(Expiry::Never).unwrap());
    let fixture = CachedResolverFixture::new(|_| vec![answer, Script::Panic]);
    let kept = fixture.resolver.resolve(&credential_id("one")).await.unwrap();
    assert_eq!(kept.expose_secret_access_key(), canary.expose_secret());
    let error = fixture
        .resolver
        .resolve(&credential_id(&refused.expose_secret().replace(['/', '+'], "-")))
        .await
        .unwrap_err();
    let shown = format!("{:?} {kept:?} {error} {error:?}", fixture.resolver);
    assert!(canary.found_in(&shown).is_empty() && refused.found_in(&shown).is_empty(), "{shown}");
    assert_eq!(fixture.resolver.name(), "scripted", "it speaks for the resolver it stands before");
}
