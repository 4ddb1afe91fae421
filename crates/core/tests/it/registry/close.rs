//! How sessions are closed: by their registry, by themselves, by the end of the registry; each time for good.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use valetkey_core::audit::{AuditRecord, AuditSink};
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{AccountName, Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry};

use super::*;

#[tokio::test]
async fn registry_close_fails_calls_in_flight_at_once() {
    let fixture = RegistryFixture::new();
    let in_use = fixture.open("ana");
    in_use.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert!(fixture.registry.close(&principal("ana"), &in_use.handle()).is_some());
    assert_eq!(in_use.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(in_use.current().is_none());
    assert_eq!(fixture.registry.len(), 0);
    assert!(fixture.registry.close(&principal("ana"), &in_use.handle()).is_none(), "it was closed");
}

#[test]
fn close_all_closes_sessions_of_one_principal() {
    let fixture = RegistryFixture::new();
    let mine = [fixture.idle("ana").1, fixture.idle("ana").1, fixture.idle("ana").1];
    let in_use = fixture.open("ana");
    let (theirs, their_session) = fixture.idle("ben");
    assert_eq!(fixture.registry.close_all(&principal("ana")), 4);
    assert!(mine.iter().all(|session| session.is_closed()) && in_use.is_closed());
    assert!(!their_session.is_closed() && fixture.is_found("ben", &theirs));
    assert_eq!(fixture.registry.len(), 1);
    drop(in_use);
    assert_eq!(fixture.registry.close_all(&principal("ana")), 0);
    assert!(!fixture.registry.is_empty());
}

#[tokio::test]
async fn registry_close_during_fetch_keeps_session_closed() {
    let fixture = RegistryFixture::new();
    let provider = ScriptedProvider::blocked([Script::Answer(numbered(1, Expiry::Never))]);
    let opened =
        fixture.registry.open(principal("ana"), fixture.builder().provider(provider.clone())).unwrap();
    let (handle, session) = (opened.handle(), opened.clone());
    let lent = opened.account(&AccountName::default_account()).unwrap();
    let fetch = tokio::spawn(async move { opened.credentials().await });
    settle().await;
    assert_eq!(provider.call_count(), 1);
    assert!(fixture.registry.close(&principal("ana"), &handle).is_some());
    provider.release(1);
    assert_eq!(fetch.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(session.current().is_none() && lent.current().is_none());
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(!fixture.is_found("ana", &handle));
}

#[tokio::test]
async fn sweep_during_fetch_of_account_keeps_session_closed() {
    let fixture = RegistryFixture::new();
    let provider = ScriptedProvider::blocked([Script::Answer(numbered(1, Expiry::Never))]);
    let opened =
        fixture.registry.open(principal("ana"), fixture.builder().provider(provider.clone())).unwrap();
    let lent = opened.account(&AccountName::default_account()).unwrap();
    drop(opened);
    let fetch = tokio::spawn({
        let lent = lent.clone();
        async move { lent.credentials().await }
    });
    settle().await;
    fixture.clock.advance(IDLE);
    assert_eq!(fixture.registry.sweep(), 1);
    provider.release(1);
    assert_eq!(fetch.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(lent.current().is_none() && lent.is_closed());
}

#[test]
fn session_closed_during_call_frees_capacity_after_call() {
    let fixture = RegistryFixture::new();
    let (in_use, other) = (fixture.open("ana"), fixture.open("ana"));
    in_use.close();
    assert!(!fixture.is_found("ana", &in_use.handle()));
    drop(in_use);
    assert_eq!(fixture.registry.len(), 1);
    other.close();
    drop(other);
    assert_eq!(fixture.registry.len(), 0);
}

#[test]
fn session_closed_during_call_frees_capacity_when_swept() {
    let notices: [fn(&RegistryFixture, SessionHandle); 3] = [
        |fixture, handle| assert!(!fixture.is_found("ana", &handle)),
        |fixture, _| {
            fixture.clock.advance(IDLE);
            assert_eq!(fixture.registry.sweep(), 1);
        },
        |fixture, handle| assert!(fixture.registry.close(&principal("ana"), &handle).is_none()),
    ];
    for notice in notices {
        let fixture = RegistryFixture::new();
        let in_use = fixture.open("ana");
        in_use.close();
        assert_eq!(fixture.registry.len(), 1);
        notice(&fixture, in_use.handle());
        assert_eq!(fixture.registry.len(), 0);
        drop(in_use);
        assert_eq!(fixture.registry.len(), 0);
    }
}

#[test]
fn registry_close_of_closed_session_is_none() {
    let fixture = RegistryFixture::new();
    let (handle, session) = fixture.idle("ana");
    session.close();
    assert!(fixture.registry.close(&principal("ana"), &handle).is_none());
    assert_eq!(fixture.registry.len(), 0);
}

#[test]
fn registry_last_clone_dropped_closes_every_session() {
    let fixture = RegistryFixture::new();
    let (handle, session) = fixture.idle("ana");
    let in_use = fixture.open("ben");
    let other = fixture.registry.clone();
    drop(fixture.registry);
    assert!(other.find(&principal("ana"), &handle).is_ok());
    assert!(!session.is_closed() && !in_use.is_closed());
    drop(other);
    assert!(session.is_closed() && in_use.is_closed());
}

#[test]
fn registry_without_clones_and_guards_is_freed() {
    let clock = Arc::new(ManualClock::new());
    let registry = SessionRegistry::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).build();
    let open = |name| registry.open(principal(name), builder(&clock)).unwrap();
    let in_use = open("ana");
    drop(open("ben"));
    registry.close(&principal("cora"), &open("cora").handle());
    drop(registry);
    drop(in_use);
    assert_eq!(Arc::strong_count(&clock), 1);
}

/// Foreign code that runs while a session is closed, and calls the registry back.
#[derive(Debug, Clone, Default)]
struct ReentrantSink(Arc<Mutex<Option<SessionRegistry>>>);

impl ReentrantSink {
    fn call_registry(&self) {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(registry) = registry {
            registry.sweep();
            registry.close_all(&principal("dave"));
            assert!(registry.len() < 100);
            let handle = "0".repeat(32).parse().unwrap();
            assert!(registry.find(&principal("ana"), &handle).is_err());
            let opened = registry.open(principal("sink"), SessionContext::builder()).unwrap();
            assert!(registry.close(&principal("sink"), &opened.handle()).is_some());
        }
    }
}

impl AuditSink for ReentrantSink {
    fn record(&self, _: &AuditRecord) {
        self.call_registry();
    }
}

#[derive(Debug)]
struct ReentrantProvider(ReentrantSink);

impl Drop for ReentrantProvider {
    fn drop(&mut self) {
        self.0.call_registry();
    }
}

#[async_trait]
impl CredentialProvider for ReentrantProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("sink")
    }

    async fn provide(&self) -> Result<Credentials> {
        Err(Error::not_configured("nothing"))
    }
}

/// Hangs if a lock is held while foreign code runs.
#[test]
fn user_code_called_by_close_may_call_registry() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(2).max_sessions(4));
    let sink = ReentrantSink::default();
    *sink.0.lock().unwrap() = Some(fixture.registry.clone());
    let open = |name: &str| {
        let builder = fixture.builder().audit(Arc::new(sink.clone()));
        fixture.registry.open(principal(name), builder.provider(ReentrantProvider(sink.clone())))
    };
    let keep = |name: &str| open(name).map(|opened| opened.handle());

    let first = keep("ana").unwrap();
    assert!(fixture.registry.close(&principal("ana"), &first).is_some());
    let kept = [keep("ana"), keep("ana"), keep("ana")];
    assert!(kept.iter().all(Result::is_ok));
    assert_eq!(fixture.registry.len(), 2, "one was displaced");
    assert_eq!(fixture.registry.close_all(&principal("ana")), 2);
    let second = keep("ana").unwrap();
    fixture.clock.advance(IDLE);
    assert!(!fixture.is_found("ana", &second), "closed by who looked for it");
    keep("ana").unwrap();
    fixture.clock.advance(IDLE);
    assert_eq!(fixture.registry.sweep(), 1);
    let over = open("ana").unwrap();
    fixture.clock.advance(LIFETIME);
    drop(over);
    let held = (open("ben").unwrap(), open("ben").unwrap());
    assert_eq!(open("ben").unwrap_err().kind(), ErrorKind::Throttled, "and what was refused is closed too");
    drop(held);
    keep("ana").unwrap();
    *sink.0.lock().unwrap() = None;
}

#[derive(Debug)]
struct PanickingSink;

impl AuditSink for PanickingSink {
    fn record(&self, _: &AuditRecord) {
        panic!("the sink is broken");
    }
}

#[test]
fn registry_close_with_panicking_sink_closes_all_sessions() {
    let fixture = RegistryFixture::new();
    let opened = [(); 3].map(|()| {
        let session = fixture.builder().audit(Arc::new(PanickingSink));
        fixture.registry.open(principal("ana"), session).unwrap()
    });
    let children =
        opened.each_ref().map(|session| session.with_credentials(numbered(1, Expiry::Never)).unwrap());
    assert_eq!(fixture.registry.close_all(&principal("ana")), 3);
    assert!(
        opened.iter().all(|session| session.is_closed()) && children.iter().all(|child| child.is_closed())
    );
}
