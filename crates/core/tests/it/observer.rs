//! Observers receive all credentials that a session is given or fetches, also those that it never serves.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use valetkey_core::testing::{ManualClock, Script, ScriptedProvider};
use valetkey_core::{
    AccountName, Clock, CredentialObserver, CredentialObservers, CredentialProvider, Credentials, Error,
    ErrorKind, Expiry, KeyExchange, MapResolver, ObservedProvider, Result, SessionContext, SessionPolicy,
};

use crate::session_fixture::*;

#[derive(Default)]
struct RecordingObserver(Mutex<Vec<u64>>);

impl RecordingObserver {
    fn attach_to(session: &SessionContext) -> Arc<Self> {
        let observer = Arc::new(Self::default());
        session.observe(&observer);
        observer
    }

    /// The numbers of the credentials since the last look, without repetitions.
    fn take_numbers(&self) -> Vec<u64> {
        let mut numbers = std::mem::take(&mut *self.0.lock().unwrap());
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

impl CredentialObserver for RecordingObserver {
    fn observe(&self, credentials: &Credentials) {
        self.0.lock().unwrap().push(number(credentials));
    }
}

/// Lets no credentials through that are set on its account.
#[derive(Debug)]
struct KeyExchangeFixture(Option<u64>);

#[async_trait]
impl CredentialProvider for KeyExchangeFixture {
    fn name(&self) -> std::borrow::Cow<'static, str> {
        "guard".into()
    }

    async fn provide(&self) -> Result<Credentials> {
        let given = self.0.ok_or_else(|| Error::not_configured("nothing to exchange"))?;
        Ok(unexpiring(given + 100))
    }

    fn scope_down(&self, _: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        Ok(Arc::new(Self(self.0.map(|given| given + 50))))
    }
}

impl KeyExchange for KeyExchangeFixture {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(Self(self.0))
    }

    fn exchange_for(&self, given: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        Some(Arc::new(Self(Some(number(given)))))
    }
}

fn unexpiring(n: u64) -> Credentials {
    numbered(n, Expiry::Never)
}

fn provider_returning(n: u64) -> ScriptedProvider {
    ScriptedProvider::new([Script::Answer(unexpiring(n))])
}

fn account_name(name: &str) -> AccountName {
    name.parse().unwrap()
}

#[tokio::test]
async fn observer_receives_fetched_set_and_resolved() {
    let clock = ManualClock::new();
    let resolver = MapResolver::new().with("id".parse().unwrap(), unexpiring(3));
    let session = builder(&clock).provider(provider_returning(1)).resolver(resolver).build();
    let observer = RecordingObserver::attach_to(&session);
    assert_eq!(observer.take_numbers(), [0; 0]);
    session.credentials().await.unwrap();
    assert_eq!(observer.take_numbers(), [1]);
    session.for_account(&account_name("other")).set_credentials(unexpiring(2)).unwrap();
    assert_eq!(observer.take_numbers(), [2]);
    session.set_from_resolver(&"id".parse().unwrap(), None).await.unwrap();
    assert_eq!(observer.take_numbers(), [3]);
    session.credentials().await.unwrap();
    assert_eq!(observer.take_numbers(), [0; 0], "cached credentials are not reported again");
}

#[tokio::test]
async fn observer_attached_late_receives_cached_credentials() {
    let session = builder(&ManualClock::new()).build();
    session.set_credentials(unexpiring(1)).unwrap();
    session.for_account(&account_name("guarded")).set_key_exchange(KeyExchangeFixture(None)).unwrap();
    session.for_account(&account_name("guarded")).set_credentials(unexpiring(2)).unwrap();
    let child = session.with_credentials(unexpiring(3)).unwrap();
    let observer = RecordingObserver::attach_to(&child);
    assert_eq!(observer.take_numbers(), [1, 2, 3]);
    session.set_credentials(unexpiring(4)).unwrap();
    assert_eq!(observer.take_numbers(), [4]);
}

#[tokio::test]
async fn observer_with_key_exchange_receives_keys_and_exchanged() {
    let session = builder(&ManualClock::new()).exchange_static_keys(KeyExchangeFixture(None)).build();
    let observer = RecordingObserver::attach_to(&session);
    session.set_credentials(unexpiring(1)).unwrap();
    assert_eq!(observer.take_numbers(), [1]);
    session.credentials().await.unwrap();
    assert_eq!(observer.take_numbers(), [101]);
    let reading = SessionPolicy::read_only(["s3"]).unwrap();
    let child = session.narrow(valetkey_core::AccessScope::new().policy(reading)).unwrap();
    child.credentials().await.unwrap();
    assert_eq!(observer.take_numbers(), [151]);
}

#[tokio::test]
async fn observer_attached_after_exchange_receives_both() {
    let session = builder(&ManualClock::new()).build();
    session.set_credentials(unexpiring(1)).unwrap();
    session.set_key_exchange(KeyExchangeFixture(None)).unwrap();
    session.credentials().await.unwrap();
    assert_eq!(RecordingObserver::attach_to(&session).take_numbers(), [1, 101]);
    session.clear();
    assert_eq!(RecordingObserver::attach_to(&session).take_numbers(), [0; 0]);
}

#[tokio::test]
async fn observed_provider_as_source_reports_fetches() {
    let observers = CredentialObservers::new();
    let source = ObservedProvider::new(Arc::new(provider_returning(7)), &observers);
    let session = builder(&ManualClock::new()).observers(&observers).build();
    let observer = RecordingObserver::attach_to(&session);
    source.provide().await.unwrap();
    assert_eq!(observer.take_numbers(), [7]);
}

#[tokio::test]
async fn observed_provider_keeps_key_exchange() {
    let session = builder(&ManualClock::new()).build();
    session.set_key_exchange(KeyExchangeFixture(None)).unwrap();
    let observed = ObservedProvider::new(Arc::new(KeyExchangeFixture(None)), &session.observers());
    session.set_provider(observed).unwrap();
    let observer = RecordingObserver::attach_to(&session);
    session.set_credentials(unexpiring(1)).unwrap();
    assert_eq!(session.credentials().await.map(|served| number(&served)).unwrap(), 101);
    assert_eq!(observer.take_numbers(), [1, 101]);
}

#[tokio::test]
async fn observer_receives_unserved_credentials() {
    let clock = ManualClock::new();
    let expired = numbered(1, Expiry::At(clock.now() - std::time::Duration::from_secs(1)));
    let provider = ScriptedProvider::new([Script::Answer(expired)]);
    let session = builder(&clock).provider(provider).build();
    let observer = RecordingObserver::attach_to(&session);
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(observer.take_numbers(), [1]);
}

#[tokio::test]
async fn observer_panic_does_not_affect_others() {
    struct PanickingObserver;
    impl CredentialObserver for PanickingObserver {
        fn observe(&self, _: &Credentials) {
            panic!("not ours");
        }
    }
    let session = builder(&ManualClock::new()).build();
    let panicking = Arc::new(PanickingObserver);
    session.observe(&panicking);
    let observer = RecordingObserver::attach_to(&session);
    session.set_credentials(unexpiring(1)).unwrap();
    assert_eq!(observer.take_numbers(), [1]);
}

/// Attaches another observer to a session while credentials are reported, before the session serves them.
struct AttachingObserver(Mutex<Option<SessionContext>>, Arc<RecordingObserver>);

impl CredentialObserver for AttachingObserver {
    fn observe(&self, _: &Credentials) {
        if let Some(session) = self.0.lock().unwrap().take() {
            session.observe(&self.1);
        }
    }
}

#[tokio::test]
async fn observer_attached_during_fetch_or_set_receives_credentials() {
    for is_set in [false, true] {
        let session = SessionContext::builder().provider(provider_returning(1)).build();
        let late = Arc::new(RecordingObserver::default());
        let first = Arc::new(AttachingObserver(Mutex::new(Some(session.clone())), Arc::clone(&late)));
        session.observe(&first);
        if is_set {
            session.set_credentials(unexpiring(1)).unwrap();
        } else {
            session.refresh().await.unwrap();
        }
        assert_eq!(late.take_numbers(), [1], "set: {is_set}");
    }
}
