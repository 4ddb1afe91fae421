//! Credentials that providers issue: one gateway fetches them, and the others take them from the record.
//!
//! # When issued credentials are taken
//! All of these must hold; otherwise the gateway takes the lease of the record, and fetches:
//! - The account is served by its provider: nothing was set on it, and it was not cleared.
//! - Both gateways have the same configuration of sessions.
//! - The credentials last five minutes more, by the clock of this gateway.
//! - They are not those that this gateway returned last: a further call wants others, such as after AWS rejected them.
//!
//! Every save of a tool's change leaves them out, since they may depend on what was changed.
//!
//! # Failures
//! - A gateway that is lost while it has the lease delays the others until the lease ends, which is at most four seconds
//!   later: a gateway that fetches renews it each second.
//! - A result that is not saved serves this gateway only.
//! - Without the store, each gateway fetches for itself.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::sleep;
use valetkey_core::{
    AccessKeyId, AccountName, Clock, CredentialProvider, Credentials, Result, SessionContext, SessionPolicy,
};
use valetkey_store::{
    AccountContents, Change, CredentialSource, IssuedCredentials, Lease, LeaseOutcome, RecordError,
    RecordGeneration, SessionContents, StoreError,
};

use super::record::SessionRecord;
use super::status::RefreshKind;
use super::{SharedRecords, contents};

/// How long the others wait for a gateway that was lost while it fetched.
const LEASE: Duration = Duration::from_secs(4);
/// How often a gateway that fetches renews its lease: a few renewals may fail.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);
/// The pause between two looks at a record whose lease another gateway has.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often issued credentials are added to a record that other gateways change meanwhile.
const MAX_SAVES: u32 = 3;
/// Issued credentials that expire sooner are not taken from a record.
const MIN_REMAINING: Duration = Duration::from_secs(5 * 60);

impl SharedRecords {
    /// Lets the accounts of a session take what another gateway with the same configuration has fetched.
    pub(in crate::http) fn share_refreshes(
        self: &Arc<Self>,
        record: &Arc<SessionRecord>,
        session: &SessionContext,
        configuration: Option<String>,
    ) {
        let Some(configuration) = configuration else { return };
        for account in session.accounts() {
            let wrap = |inner| -> Arc<dyn CredentialProvider> {
                Arc::new(SharedProvider {
                    inner,
                    account: account.clone(),
                    configuration: configuration.clone(),
                    clock: session.clock(),
                    records: Arc::clone(self),
                    record: Arc::clone(record),
                    last: Mutex::default(),
                })
            };
            // Fails only for a session that was closed meanwhile.
            let _closed = session.for_account(&account).wrap_provider(wrap);
        }
    }
}

/// Fetches with the provider of an account, once for all gateways.
///
/// A save is not announced to [`KnownSessions`](valetkey_store::KnownSessions): this gateway then reads its own event as it
/// does those of others, and misses no change in between.
struct SharedProvider {
    inner: Arc<dyn CredentialProvider>,
    account: AccountName,
    configuration: String,
    clock: Arc<dyn Clock>,
    records: Arc<SharedRecords>,
    record: Arc<SessionRecord>,
    /// The key that was returned last. A further call wants another one.
    last: Mutex<Option<AccessKeyId>>,
}

impl SharedProvider {
    /// Returns what another gateway has issued, or fetches with the lease.
    ///
    /// # Errors
    /// Those of the store. The inner result is that of the provider.
    async fn provide_for_all(&self) -> Result<Result<Credentials>, StoreError> {
        loop {
            let (contents, generation) = self.load().await?;
            if let Some(issued) = self.usable(&contents) {
                self.records.status.record_refresh(RefreshKind::Followed);
                return Ok(Ok(issued));
            }
            let id = self.record.client.id();
            match self.records.store.lease(id, generation, self.records.node, LEASE).await {
                Ok(LeaseOutcome::Granted(lease)) => {
                    self.records.status.record_refresh(RefreshKind::Led);
                    return Ok(self.fetch(contents, lease).await);
                }
                Ok(LeaseOutcome::Held { remaining }) => sleep(remaining.min(POLL_INTERVAL)).await,
                Err(StoreError::Superseded { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn load(&self) -> Result<(SessionContents, RecordGeneration), StoreError> {
        self.records.check_following()?;
        let sealed = self.records.store.load(self.record.client.id()).await?;
        if sealed.generation() < self.record.generation() {
            return Err(RecordError::Replayed.into());
        }
        let bytes = self.records.ring.open(&self.record.client, &self.record.owner, &sealed)?;
        Ok((SessionContents::from_bytes(&bytes)?, sealed.generation()))
    }

    fn usable(&self, contents: &SessionContents) -> Option<Credentials> {
        let account = contents.accounts.get(&self.account).filter(|account| is_configured(account))?;
        let issued = account.issued.as_ref()?;
        let credentials = &issued.credentials;
        let remaining = credentials.expiry().instant()?.duration_since(self.clock.now()).ok()?;
        let is_new = self.last.lock().as_ref() != Some(credentials.access_key_id());
        let is_usable = issued.configuration == self.configuration && remaining >= MIN_REMAINING && is_new;
        is_usable.then(|| credentials.clone())
    }

    /// Fetches, and saves what was issued for the others. The result does not depend on the save.
    async fn fetch(&self, contents: SessionContents, lease: Lease) -> Result<Credentials> {
        let fetched = tokio::select! {
            fetched = self.inner.provide() => fetched,
            never = self.keep_leased(&lease) => match never {},
        };
        let saved = match &fetched {
            // Only what expires by itself is given to others.
            Ok(credentials) if credentials.expiry().instant().is_some() => {
                self.save(contents, lease.generation, credentials).await
            }
            _ => self.records.store.release(&lease).await,
        };
        if let Err(error) = saved {
            tracing::debug!(account = %self.account, %error, "other gateways fetch for themselves");
        }
        fetched
    }

    /// Renews the lease until the future is dropped. A lease that cannot be renewed does not stop the fetch: of two nodes
    /// that both fetch, one saves.
    async fn keep_leased(&self, lease: &Lease) -> Infallible {
        loop {
            sleep(RENEWAL_INTERVAL).await;
            let renewed = self.records.store.lease(lease.id, lease.generation, lease.node, LEASE).await;
            if let Err(error) = renewed {
                tracing::debug!(account = %self.account, %error, "the lease of a refresh is not renewed");
            }
        }
    }

    /// Adds the credentials to the record. A record that was changed meanwhile is used if the change has nothing to do
    /// with credentials.
    async fn save(
        &self,
        mut contents: SessionContents,
        mut expected: RecordGeneration,
        credentials: &Credentials,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_SAVES {
            let account = contents.accounts.get_mut(&self.account);
            let Some(account) = account.filter(|account| is_configured(account)) else { return Ok(()) };
            let configuration = self.configuration.clone();
            account.issued = Some(IssuedCredentials { credentials: credentials.clone(), configuration });
            let sealed = self.records.seal(&self.record, expected.successor()?, &contents)?;
            let id = self.record.client.id();
            match self.records.store.save(id, expected, &sealed, Change::Rotated).await {
                Err(StoreError::Superseded { .. }) => {
                    let (now, generation) = self.load().await?;
                    if !contents::has_same_accounts(&contents, &now) {
                        return Ok(());
                    }
                    (contents, expected) = (now, generation);
                }
                saved => return saved,
            }
        }
        Ok(())
    }
}

/// Whether the provider serves the account on every gateway. The record of an account that is about to be resumed says
/// that it was cleared.
const fn is_configured(account: &AccountContents) -> bool {
    matches!(account.source, CredentialSource::Configured)
}

#[async_trait]
impl CredentialProvider for SharedProvider {
    fn name(&self) -> Cow<'static, str> {
        self.inner.name()
    }

    async fn provide(&self) -> Result<Credentials> {
        let provided = match self.provide_for_all().await {
            Ok(provided) => provided,
            // Without the store, each gateway fetches for itself.
            Err(_) => {
                self.records.status.record_refresh(RefreshKind::Alone);
                self.inner.provide().await
            }
        };
        if let Ok(credentials) = &provided {
            *self.last.lock() = Some(credentials.access_key_id().clone());
        }
        provided
    }

    fn clear_cache(&self) {
        self.inner.clear_cache();
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.inner.scope_down(policy)
    }
}

impl fmt::Debug for SharedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedProvider").field("inner", &self.inner).finish_non_exhaustive()
    }
}
