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
        let mut desk = CachedResolverFixture::new(|clock| {
            let expiry = |lifetime| Expiry::At(valetkey_core::Clock::now(clock) + lifetime);
            vec![Script::Answer(numbered(1, lifetime.map_or(Expiry::Never, expiry)))]
        });
        desk.resolver = ttl.into_iter().fold(desk.resolver, CachedResolver::ttl);
        desk.resolve_number("one").await.unwrap();
        let while_kept = kept_for.saturating_sub(SECOND);
        desk.clock.advance(while_kept);
        desk.resolve_number("one").await.unwrap();
        let uncached_lookups = usize::from(kept_for.is_zero());
        assert_eq!(desk.lookup_count(), 1 + uncached_lookups, "{ttl:?}, {lifetime:?}: while it is kept");
        desk.clock.advance(kept_for - while_kept);
        desk.resolve_number("one").await.unwrap();
        assert_eq!(desk.lookup_count(), 2 + uncached_lookups, "{ttl:?}, {lifetime:?}: at the end");
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
        let desk = CachedResolverFixture::new(|_| vec![Script::Fail(Error::new(kind, "no"))]);
        for _ in 0..3 {
            let error = desk.resolve_number("one").await.unwrap_err();
            assert_eq!((error.kind(), error.provider()), (kind, Some("scripted")));
            desk.clock.advance(SECOND / 3);
        }
        assert_eq!(desk.lookup_count(), if remembered { 1 } else { 3 }, "{kind:?}: within the second");
        desk.clock.advance(4 * SECOND);
        desk.resolve_number("one").await.unwrap_err();
        assert_eq!(desk.lookup_count(), if remembered { 2 } else { 4 }, "{kind:?}: after five");
    }
}

#[tokio::test]
async fn cached_resolver_refusal_ttl_is_jittered() {
    let mut lasted = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let desk = CachedResolverFixture::new(|_| vec![fails_denied()]);
        desk.resolve_number("one").await.unwrap_err();
        let mut after = Duration::ZERO;
        while desk.lookup_count() == 1 {
            desk.clock.advance(SECOND / 10);
            after += SECOND / 10;
            desk.resolve_number("one").await.unwrap_err();
        }
        assert!((SECOND..=5 * SECOND).contains(&after), "{after:?}");
        lasted.insert(after);
    }
    assert!(lasted.len() > 1, "{lasted:?}");
}

#[tokio::test]
async fn cached_resolver_separates_ids() {
    let desk = CachedResolverFixture::new(|clock| {
        vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR), fails_denied()]
    });
    assert_eq!(
        (desk.resolve_number("one").await.unwrap(), desk.resolve_number("two").await.unwrap()),
        (1, 2)
    );
    assert_eq!(desk.resolve_number("three").await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(
        (desk.resolve_number("one").await.unwrap(), desk.resolve_number("two").await.unwrap()),
        (1, 2)
    );
    assert_eq!(desk.lookup_count(), 3);
}

#[tokio::test]
async fn cached_resolver_clock_rewind_prolongs_nothing() {
    let desk = CachedResolverFixture::new(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR)]);
    assert_eq!(desk.resolve_number("one").await.unwrap(), 1);
    desk.clock.rewind(SECOND);
    assert_eq!(desk.resolve_number("one").await.unwrap(), 2);
}

#[tokio::test]
async fn cached_resolver_at_capacity_evicts_oldest() {
    let mut desk = CachedResolverFixture::new(|clock| (1..=9).map(|n| returns(clock, n, HOUR)).collect());
    desk.resolver = desk.resolver.capacity(2);
    for (name, expected) in [("b", 1), ("c", 2), ("a", 3), ("c", 2), ("a", 3), ("b", 4), ("a", 3), ("c", 5)] {
        assert_eq!(desk.resolve_number(name).await.unwrap(), expected, "{name}");
        desk.clock.advance(SECOND);
    }
    desk.resolver = desk.resolver.capacity(0);
    assert_eq!(
        (desk.resolve_number("a").await.unwrap(), desk.resolve_number("a").await.unwrap()),
        (6, 7),
        "none is kept"
    );
}

#[tokio::test]
async fn cached_resolver_debug_and_errors_show_no_secret() {
    let (canary, refused) = (Canary::new(), Canary::new());
    let answer = Script::Answer(canary.credentials(Expiry::Never).unwrap());
    let desk = CachedResolverFixture::new(|_| vec![answer, Script::Panic]);
    let kept = desk.resolver.resolve(&credential_id("one")).await.unwrap();
    assert_eq!(kept.expose_secret_access_key(), canary.expose_secret());
    let error = desk
        .resolver
        .resolve(&credential_id(&refused.expose_secret().replace(['/', '+'], "-")))
        .await
        .unwrap_err();
    let shown = format!("{:?} {kept:?} {error} {error:?}", desk.resolver);
    assert!(canary.found_in(&shown).is_empty() && refused.found_in(&shown).is_empty(), "{shown}");
    assert_eq!(desk.resolver.name(), "scripted", "it speaks for the resolver it stands before");
}
