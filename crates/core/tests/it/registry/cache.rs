//! The cache that `find` reads: what it evicts is closed only if the registry's clock agrees.

use std::sync::Weak;

use super::*;

/// So short that the cache evicts a session as soon as it looks.
const INSTANT: Duration = Duration::from_nanos(1);

#[test]
fn find_evicted_by_moka_but_not_idle_is_found() {
    // The manual clock stands still: by it, no time has passed since the last call.
    let fixture = RegistryFixture::with(|registry| registry.idle_ttl(INSTANT));
    let (handle, session) = fixture.idle("ana");
    for _ in 0..100 {
        assert!(fixture.is_found("ana", &handle));
        assert_eq!(fixture.registry.sweep(), 0);
        drop(fixture.open("ben"));
    }
    assert!(!session.is_closed());
}

#[test]
fn session_in_call_evicted_by_moka_stays_open() {
    let fixture = RegistryFixture::with(|registry| registry.idle_ttl(INSTANT));
    let in_use = fixture.open("ana");
    fixture.clock.advance(SECOND);
    for _ in 0..100 {
        assert_eq!(fixture.registry.sweep(), 0);
        drop(fixture.open("ben"));
        assert!(fixture.is_found("ana", &in_use.handle()));
    }
    assert!(!in_use.is_closed());
}

#[test]
fn open_after_sweep_interval_closes_idle_session() {
    let fixture = RegistryFixture::with(|registry| registry.idle_ttl(INSTANT));
    let (_, session) = fixture.idle("ana");
    fixture.clock.advance(SECOND - Duration::from_millis(1));
    drop(fixture.open("ben"));
    assert!(!session.is_closed(), "the sweep at the first open was less than a second ago");
    fixture.clock.advance(Duration::from_millis(1));
    let in_use = fixture.open("ben");
    assert!(session.is_closed() && !in_use.is_closed());
    assert_eq!(fixture.registry.len(), 1);
}

#[test]
fn open_beyond_cap_still_closes_idle_sessions() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(1));
    let (_, idle) = fixture.idle("ana");
    let in_use = fixture.open("ben");
    fixture.clock.advance(IDLE);
    assert!(fixture.try_open("ben").is_err());
    assert!(idle.is_closed() && !in_use.is_closed());
}

#[test]
fn registry_close_drops_value_beside_session() {
    let registry = SessionRegistry::builder().build_with::<Arc<str>>();
    let value: Arc<str> = "a tool set".into();
    let opened = registry
        .open_with(principal("ana"), SessionContext::builder(), |session| {
            assert_eq!(session.principal(), Some(&principal("ana")));
            Arc::clone(&value)
        })
        .unwrap();
    let handle = opened.handle();
    assert!(Arc::ptr_eq(registry.find(&principal("ana"), &handle).unwrap().value(), &value));
    let weak: Weak<str> = Arc::downgrade(&value);
    drop((opened, value));
    assert!(weak.upgrade().is_some());
    assert!(registry.close(&principal("ana"), &handle).is_some());
    assert!(weak.upgrade().is_none(), "the cache keeps nothing of a closed session alive");
}

#[test]
fn registry_close_returns_outstanding_credentials() {
    let fixture = RegistryFixture::new();
    let opened = fixture.open("ana");
    let expiry = valetkey_core::Expiry::At(valetkey_core::Clock::now(&fixture.clock) + HOUR);
    opened.set_credentials(numbered(1, expiry)).unwrap();
    let outstanding = fixture.registry.close(&principal("ana"), &opened.handle()).unwrap();
    assert_eq!(outstanding, opened.outstanding());
    assert!(format!("{outstanding:?}").contains("default"), "{outstanding:?}");
}

#[tokio::test]
async fn closed_returns_when_registry_closes_session() {
    let fixture = RegistryFixture::new();
    let (handle, session) = fixture.idle("ana");
    let closed = tokio::spawn(session.closed());
    settle().await;
    assert!(!closed.is_finished());
    assert!(fixture.registry.close(&principal("ana"), &handle).is_some());
    closed.await.unwrap();
    session.closed().await;
}

#[tokio::test(start_paused = true)]
async fn closed_returns_when_narrowed_session_expires() {
    let clock = Arc::new(valetkey_core::testing::VirtualClock::new());
    let session = SessionContext::builder().clock(clock).build();
    session.set_credentials(numbered(1, valetkey_core::Expiry::Never)).unwrap();
    let narrowed = session.narrow(valetkey_core::AccessScope::new().lifetime(MINUTE)).unwrap();
    let closed = narrowed.closed();
    closed.await;
    assert!(narrowed.is_closed() && !session.is_closed());
}
