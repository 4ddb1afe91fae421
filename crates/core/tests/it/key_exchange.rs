//! Accounts whose provider exchanges manually set static keys for other credentials.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt;
use valetkey_core::audit::{AuditEvent, AuditRecord, AuditSink, InMemoryAudit};
use valetkey_core::{
    CredentialId, CredentialProvider, Credentials, Error, ErrorKind, Expiry, KeyExchange, MapResolver,
    ProviderChain, Result, SessionContext, SessionPolicy,
};

use crate::session_fixture::{number, numbered};

/// Exchanges key `n` for `n` + 100 at the first fetch and `n` + 200 at the second. Keys over 1,000 are served unchanged.
#[derive(Debug)]
struct KeyExchangeFixture {
    keys: Option<u64>,
    fetches: AtomicU64,
}

fn key_exchange() -> KeyExchangeFixture {
    KeyExchangeFixture { keys: None, fetches: AtomicU64::new(0) }
}

#[async_trait]
impl CredentialProvider for KeyExchangeFixture {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("exchange")
    }

    async fn provide(&self) -> Result<Credentials> {
        let given = self.keys.ok_or_else(|| Error::not_configured("nothing was given"))?;
        let fetches = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(numbered(given + 100 * fetches, Expiry::Never))
    }

    fn scope_down(&self, _: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let given = self.keys.map(|given| given + 50);
        Ok(Arc::new(Self { keys: given, ..key_exchange() }))
    }
}

impl KeyExchange for KeyExchangeFixture {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(Self { keys: self.keys, ..key_exchange() })
    }

    fn exchange_for(&self, given: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        let given = number(given);
        (given < 1_000)
            .then(|| Arc::new(Self { keys: Some(given), ..key_exchange() }) as Arc<dyn CredentialProvider>)
    }
}

fn credentials(n: u64) -> Credentials {
    numbered(n, Expiry::Never)
}

async fn fetch_number(session: &SessionContext) -> Result<u64, ErrorKind> {
    session.credentials().await.map(|set| number(&set)).map_err(|error| error.kind())
}

#[tokio::test]
async fn key_exchange_serves_only_exchanged_credentials() {
    let sink = Arc::new(InMemoryAudit::default());
    let session = SessionContext::builder().exchange_static_keys(key_exchange()).audit(sink.clone()).build();
    assert_eq!(fetch_number(&session).await, Err(ErrorKind::NotConfigured));
    let mut rotations = session.watch_rotations().unwrap();
    let before = rotations.current();
    let generation = session.set_credentials(credentials(1)).unwrap();
    assert!(generation > before && rotations.changed().await.unwrap() == generation);
    assert!(session.current().is_none() && session.with_cached(number).is_none(), "nothing is there yet");
    assert_eq!(fetch_number(&session).await, Ok(101));
    let set_records: Vec<_> =
        sink.records().iter().filter(|record| record.event == AuditEvent::Set).cloned().collect();
    assert_eq!(set_records.len(), 1);

    session.refresh().await.unwrap();
    assert_eq!(fetch_number(&session).await, Ok(201), "it is renewed without being set again");
    session.set_credentials(credentials(2)).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(102));
    let narrowed = session.account(session.default_account()).unwrap();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let narrowed = narrowed.scope_down(&policy.parse().unwrap()).unwrap();
    assert_eq!(number(&narrowed.provide().await.unwrap()), 152, "and can be narrowed");
}

/// Fetches from its session when keys are set on it: earlier than the caller that set them can.
#[derive(Debug, Default)]
struct FetchingSink(Mutex<Option<SessionContext>>);

impl AuditSink for FetchingSink {
    fn record(&self, record: &AuditRecord) {
        let session = self.0.lock().unwrap().clone().filter(|_| record.event == AuditEvent::Set);
        if let Some(session) = session {
            session.credentials().now_or_never().unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn key_exchange_fetched_at_once_is_not_repeated() {
    let sink = Arc::new(FetchingSink::default());
    let session = SessionContext::builder().exchange_static_keys(key_exchange()).audit(sink.clone()).build();
    *sink.0.lock().unwrap() = Some(session.clone());
    session.set_credentials(credentials(1)).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(101), "the first exchange");
    sink.0.lock().unwrap().take();
}

#[tokio::test]
async fn key_exchange_declined_serves_given_keys() {
    let session = SessionContext::builder()
        .exchange_static_keys(key_exchange())
        .provider(DecoratedProvider(ProviderChain::new(key_exchange())))
        .build();
    session.set_credentials(credentials(1)).unwrap();
    session.set_credentials(credentials(1_001)).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(1_001));
    assert!(session.refresh().await.is_err(), "set directly");
    session.set_credentials(credentials(3)).unwrap();
    assert!(session.current().is_none());
    assert_eq!(fetch_number(&session).await, Ok(103));
}

#[tokio::test]
async fn key_exchange_after_clear_drops_keys_and_stays() {
    let session = SessionContext::builder().exchange_static_keys(key_exchange()).build();
    session.set_credentials(credentials(1)).unwrap();
    let asking = session.credentials();
    session.clear();
    assert_eq!(asking.await.unwrap_err().kind(), ErrorKind::NotConfigured);
    session.for_account(&"other".parse().unwrap()).set_credentials(credentials(9)).unwrap();
    assert_eq!(
        fetch_number(&session).await,
        Err(ErrorKind::NotConfigured),
        "awake, and what was given is gone"
    );
    session.set_credentials(credentials(2)).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(102));
    session.close();
    assert_eq!(fetch_number(&session).await, Err(ErrorKind::Closed));
}

#[tokio::test]
async fn key_exchange_replaced_exchanges_earlier_keys() {
    let session = SessionContext::builder().exchange_static_keys(key_exchange()).build();
    session.set_credentials(credentials(1)).unwrap();
    session.set_key_exchange(key_exchange()).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(101));
}

#[tokio::test]
async fn key_exchange_added_later_stops_serving_set_keys() {
    let session = SessionContext::builder().build();
    let account = session.default_account().clone();
    session.set_credentials(credentials(1)).unwrap();
    let mut rotations = session.for_account(&account).watch_rotations().unwrap();
    session.for_account(&account).set_key_exchange(key_exchange()).unwrap();
    assert!(session.current().is_none() && rotations.changed().await.is_some());
    assert_eq!(fetch_number(&session).await, Ok(101));
    session.set_credentials(credentials(1_001)).unwrap();
    session.for_account(&account).set_key_exchange(key_exchange()).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(1_001), "it lets that through");
}

/// Replaces itself while the session calls it, as another thread may at any time.
#[derive(Debug)]
struct ReplacedDuringExchange(Mutex<Option<SessionContext>>);

#[async_trait]
impl CredentialProvider for ReplacedDuringExchange {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("overtaken")
    }

    async fn provide(&self) -> Result<Credentials> {
        Err(Error::not_configured("nothing"))
    }
}

impl KeyExchange for ReplacedDuringExchange {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(key_exchange())
    }

    fn exchange_for(&self, _: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        let session = self.0.lock().unwrap().take()?;
        session.set_key_exchange(key_exchange()).unwrap();
        None
    }
}

#[tokio::test]
async fn key_exchange_added_during_set_is_applied() {
    let session = SessionContext::builder().build();
    let overtaken = ReplacedDuringExchange(Mutex::new(Some(session.clone())));
    session.set_key_exchange(overtaken).unwrap();
    session.set_credentials(credentials(1)).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(101));
}

/// Sets other credentials while the session sets this exchange, as another thread may at any time.
#[derive(Debug)]
struct KeysReplacedDuringExchange(Mutex<Option<SessionContext>>);

#[async_trait]
impl CredentialProvider for KeysReplacedDuringExchange {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("overtaken")
    }

    async fn provide(&self) -> Result<Credentials> {
        Err(Error::not_configured("nothing"))
    }
}

impl KeyExchange for KeysReplacedDuringExchange {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(key_exchange())
    }

    fn exchange_for(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        if let Some(session) = self.0.lock().unwrap().take() {
            session.set_credentials(credentials(2)).unwrap();
        }
        key_exchange().exchange_for(keys)
    }
}

#[tokio::test]
async fn key_exchange_keys_set_meanwhile_are_exchanged() {
    let session = SessionContext::builder().build();
    session.set_credentials(credentials(1)).unwrap();
    session.set_key_exchange(KeysReplacedDuringExchange(Mutex::new(Some(session.clone())))).unwrap();
    assert_eq!(fetch_number(&session).await, Ok(102));
}

/// Returns a provider that calls the session back when it is dropped.
#[derive(Debug, Default)]
struct ReentrantExchange(Option<ReentrantOnDrop>);

#[derive(Debug)]
struct ReentrantOnDrop(Arc<Mutex<Option<SessionContext>>>);

impl Drop for ReentrantOnDrop {
    fn drop(&mut self) {
        let session = self.0.lock().unwrap().clone();
        if let Some(session) = session {
            let _closed_or_not = session.watch_rotations();
        }
    }
}

#[async_trait]
impl CredentialProvider for ReentrantExchange {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("sink")
    }

    async fn provide(&self) -> Result<Credentials> {
        Err(Error::not_configured("nothing"))
    }
}

impl KeyExchange for ReentrantExchange {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(key_exchange())
    }

    fn exchange_for(&self, _: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        let called_back = Arc::clone(&self.0.as_ref()?.0);
        Some(Arc::new(Self(Some(ReentrantOnDrop(called_back)))))
    }
}

/// Hangs if a lock is held while foreign code runs.
#[test]
fn key_exchange_provider_drop_may_call_session() {
    let called_back = Arc::new(Mutex::new(None));
    let sink = ReentrantExchange(Some(ReentrantOnDrop(Arc::clone(&called_back))));
    let session = SessionContext::builder().exchange_static_keys(sink).build();
    session.set_credentials(credentials(1)).unwrap();
    *called_back.lock().unwrap() = Some(session.clone());
    session.set_credentials(credentials(2)).unwrap();
    session.clear();
    assert!(session.current().is_none());
    session.set_credentials(credentials(3)).unwrap();
    session.close();
    *called_back.lock().unwrap() = None;
}

#[test]
fn key_exchange_of_closed_session_is_dropped() {
    let owner = Arc::new(Mutex::new(None));
    let exchange = ReentrantExchange(Some(ReentrantOnDrop(Arc::clone(&owner))));
    let session = SessionContext::builder().exchange_static_keys(exchange).build();
    session.set_credentials(credentials(1)).unwrap();
    session.close();
    assert_eq!(Arc::strong_count(&owner), 1);
}

/// A decorator that forwards nothing but what it must.
#[derive(Debug)]
struct DecoratedProvider<P>(P);

#[async_trait]
impl<P: CredentialProvider> CredentialProvider for DecoratedProvider<P> {
    fn name(&self) -> Cow<'static, str> {
        self.0.name()
    }

    async fn provide(&self) -> Result<Credentials> {
        self.0.provide().await
    }
}

#[tokio::test]
async fn key_exchange_survives_decorated_provider() {
    let late = SessionContext::builder().exchange_static_keys(key_exchange()).build();
    late.set_provider(DecoratedProvider(key_exchange())).unwrap();
    let early = SessionContext::builder()
        .provider(DecoratedProvider(key_exchange()))
        .exchange_static_keys(key_exchange())
        .build();
    for session in [late, early] {
        for (given, expected) in [(1, 101), (2, 102)] {
            session.set_credentials(credentials(given)).unwrap();
            assert!(session.current().is_none());
            assert_eq!(fetch_number(&session).await, Ok(expected));
            session.clear();
        }
    }
}

#[tokio::test]
async fn key_exchange_set_from_resolver_returns_no_keys() {
    let id: CredentialId = "one".parse().unwrap();
    let resolver = MapResolver::new().with(id.clone(), credentials(1));
    let session = SessionContext::builder().exchange_static_keys(key_exchange()).resolver(resolver).build();
    let status = session.set_from_resolver(&id, None).await.unwrap();
    assert_eq!(
        (status.key_suffix, status.freshness),
        (None, None),
        "the keys from the resolver are never served"
    );
    assert_eq!(fetch_number(&session).await, Ok(101));
}
