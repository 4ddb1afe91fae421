//! How sessions are closed: by their registry, by themselves, by the end of the registry; each time for good.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use valetkey_core::audit::{AuditRecord, AuditSink};
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{AccountName, Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry};

use super::*;

#[tokio::test]
async fn closing_is_felt_at_once_by_the_calls_in_flight() {
    let gateway = Gateway::new();
    let in_use = gateway.open("ana");
    in_use.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert!(gateway.registry.close(&principal("ana"), &in_use.handle()).is_some());
    assert_eq!(in_use.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(in_use.current().is_none());
    assert_eq!(gateway.registry.len(), 0);
    assert!(gateway.registry.close(&principal("ana"), &in_use.handle()).is_none(), "it was closed");
}

#[test]
fn closing_all_closes_what_one_principal_has() {
    let gateway = Gateway::new();
    let mine = [gateway.idle("ana").1, gateway.idle("ana").1, gateway.idle("ana").1];
    let in_use = gateway.open("ana");
    let (theirs, their_session) = gateway.idle("ben");
    assert_eq!(gateway.registry.close_all(&principal("ana")), 4);
    assert!(mine.iter().all(|session| session.is_closed()) && in_use.is_closed());
    assert!(!their_session.is_closed() && gateway.is_found("ben", &theirs));
    assert_eq!(gateway.registry.len(), 1);
    drop(in_use);
    assert_eq!(gateway.registry.close_all(&principal("ana")), 0);
    assert!(!gateway.registry.is_empty());
}

#[tokio::test]
async fn a_fetch_in_flight_does_not_bring_a_closed_session_back() {
    let gateway = Gateway::new();
    let provider = ScriptedProvider::blocked([Script::Answer(numbered(1, Expiry::Never))]);
    let opened =
        gateway.registry.open(principal("ana"), gateway.builder().provider(provider.clone())).unwrap();
    let (handle, session) = (opened.handle(), opened.clone());
    let lent = opened.account(&AccountName::default_account()).unwrap();
    let fetch = tokio::spawn(async move { opened.credentials().await });
    settle().await;
    assert_eq!(provider.call_count(), 1);
    assert!(gateway.registry.close(&principal("ana"), &handle).is_some());
    provider.release(1);
    assert_eq!(fetch.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(session.current().is_none() && lent.current().is_none());
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(!gateway.is_found("ana", &handle));
}

#[tokio::test]
async fn a_fetch_by_what_was_lent_does_not_bring_a_swept_session_back() {
    let gateway = Gateway::new();
    let provider = ScriptedProvider::blocked([Script::Answer(numbered(1, Expiry::Never))]);
    let opened =
        gateway.registry.open(principal("ana"), gateway.builder().provider(provider.clone())).unwrap();
    let lent = opened.account(&AccountName::default_account()).unwrap();
    drop(opened);
    let fetch = tokio::spawn({
        let lent = lent.clone();
        async move { lent.credentials().await }
    });
    settle().await;
    gateway.clock.advance(IDLE);
    assert_eq!(gateway.registry.sweep(), 1);
    provider.release(1);
    assert_eq!(fetch.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(lent.current().is_none() && lent.is_closed());
}

#[test]
fn session_closed_during_call_frees_its_place_after_call() {
    let gateway = Gateway::new();
    let (in_use, other) = (gateway.open("ana"), gateway.open("ana"));
    in_use.close();
    assert!(!gateway.is_found("ana", &in_use.handle()));
    drop(in_use);
    assert_eq!(gateway.registry.len(), 1);
    other.close();
    drop(other);
    assert_eq!(gateway.registry.len(), 0);
}

#[test]
fn session_closed_during_call_frees_its_place_once_noticed() {
    let notices: [fn(&Gateway, SessionHandle); 3] = [
        |gateway, handle| assert!(!gateway.is_found("ana", &handle)),
        |gateway, _| {
            gateway.clock.advance(IDLE);
            assert_eq!(gateway.registry.sweep(), 1);
        },
        |gateway, handle| assert!(gateway.registry.close(&principal("ana"), &handle).is_none()),
    ];
    for notice in notices {
        let gateway = Gateway::new();
        let in_use = gateway.open("ana");
        in_use.close();
        assert_eq!(gateway.registry.len(), 1);
        notice(&gateway, in_use.handle());
        assert_eq!(gateway.registry.len(), 0);
        drop(in_use);
        assert_eq!(gateway.registry.len(), 0);
    }
}

#[test]
fn a_session_that_closed_itself_has_nothing_left_to_be_closed() {
    let gateway = Gateway::new();
    let (handle, session) = gateway.idle("ana");
    session.close();
    assert!(gateway.registry.close(&principal("ana"), &handle).is_none());
    assert_eq!(gateway.registry.len(), 0);
}

#[test]
fn registry_last_clone_dropped_closes_every_session() {
    let gateway = Gateway::new();
    let (handle, session) = gateway.idle("ana");
    let in_use = gateway.open("ben");
    let other = gateway.registry.clone();
    drop(gateway.registry);
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
struct Meddler(Arc<Mutex<Option<SessionRegistry>>>);

impl Meddler {
    fn meddle(&self) {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(registry) = registry {
            registry.sweep();
            registry.close_all(&principal("nobody"));
            assert!(registry.len() < 100);
            let handle = "0".repeat(32).parse().unwrap();
            assert!(registry.find(&principal("ana"), &handle).is_err());
            let opened = registry.open(principal("meddler"), SessionContext::builder()).unwrap();
            assert!(registry.close(&principal("meddler"), &opened.handle()).is_some());
        }
    }
}

impl AuditSink for Meddler {
    fn record(&self, _: &AuditRecord) {
        self.meddle();
    }
}

#[derive(Debug)]
struct MeddlesWhenDropped(Meddler);

impl Drop for MeddlesWhenDropped {
    fn drop(&mut self) {
        self.0.meddle();
    }
}

#[async_trait]
impl CredentialProvider for MeddlesWhenDropped {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("meddler")
    }

    async fn provide(&self) -> Result<Credentials> {
        Err(Error::not_configured("nothing"))
    }
}

/// Hangs if a lock is held while foreign code runs.
#[test]
fn foreign_code_that_runs_at_a_closing_may_call_the_registry() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(2).max_sessions(4));
    let meddler = Meddler::default();
    *meddler.0.lock().unwrap() = Some(gateway.registry.clone());
    let open = |name: &str| {
        let builder = gateway.builder().audit(Arc::new(meddler.clone()));
        gateway.registry.open(principal(name), builder.provider(MeddlesWhenDropped(meddler.clone())))
    };
    let keep = |name: &str| open(name).map(|opened| opened.handle());

    let first = keep("ana").unwrap();
    assert!(gateway.registry.close(&principal("ana"), &first).is_some());
    let kept = [keep("ana"), keep("ana"), keep("ana")];
    assert!(kept.iter().all(Result::is_ok));
    assert_eq!(gateway.registry.len(), 2, "one was displaced");
    assert_eq!(gateway.registry.close_all(&principal("ana")), 2);
    let second = keep("ana").unwrap();
    gateway.clock.advance(IDLE);
    assert!(!gateway.is_found("ana", &second), "closed by who looked for it");
    keep("ana").unwrap();
    gateway.clock.advance(IDLE);
    assert_eq!(gateway.registry.sweep(), 1);
    let over = open("ana").unwrap();
    gateway.clock.advance(LIFETIME);
    drop(over);
    let held = (open("ben").unwrap(), open("ben").unwrap());
    assert_eq!(open("ben").unwrap_err().kind(), ErrorKind::Throttled, "and what was refused is closed too");
    drop(held);
    keep("ana").unwrap();
    *meddler.0.lock().unwrap() = None;
}

#[derive(Debug)]
struct Panicking;

impl AuditSink for Panicking {
    fn record(&self, _: &AuditRecord) {
        panic!("the sink is broken");
    }
}

#[test]
fn a_sink_that_panics_leaves_nothing_open() {
    let gateway = Gateway::new();
    let opened = [(); 3].map(|()| {
        let session = gateway.builder().audit(Arc::new(Panicking));
        gateway.registry.open(principal("ana"), session).unwrap()
    });
    let children =
        opened.each_ref().map(|session| session.with_credentials(numbered(1, Expiry::Never)).unwrap());
    assert_eq!(gateway.registry.close_all(&principal("ana")), 3);
    assert!(
        opened.iter().all(|session| session.is_closed()) && children.iter().all(|child| child.is_closed())
    );
}
