//! `SessionContext`: the credentials of one agent invocation, passed explicitly to the code that needs them.

mod account;
mod builder;
mod caller_identity;
pub(crate) mod error;
mod inner;
mod narrow;
mod narrowed_cache;
mod outstanding;
mod rotation;
pub(crate) mod shared;
mod status;
mod weak;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::audit::{AuditEvent, AuditRecord, DecisionChannel, NarrowDetails};
use crate::cache::{self, CurrentCredentials, Generation, RefreshLimits, RefreshQueue};
use crate::{
    AccessKeyId, AccountName, Clock, CredentialId, CredentialObserver, CredentialObservers,
    CredentialProvider, Credentials, Error, Expiry, IntoProvider, KeyExchange, Principal, Region, Result,
    SessionId, SessionPolicy,
};

pub use account::SessionAccount;
pub use builder::SessionBuilder;
pub use caller_identity::CallerIdentityCache;
pub use narrow::AccessScope;
pub use narrowed_cache::NarrowedSessionCache;
pub use outstanding::{OutstandingAccount, OutstandingCredentials};
pub use rotation::RotationWatcher;
pub use status::{AccountStatus, SessionStatus};
pub use weak::WeakSession;

use inner::SessionInner;

/// Holds the credentials of one agent invocation: isolated, in memory, and dropped when the session ends.
///
/// A clone is another handle to the same session; pass it to code that acts for the same user. A session can only be
/// reached through a handle, and closes when its last handle is dropped. What a session lends
/// ([`account`](Self::account), SDK clients, endpoints) follows its rotation and clearing and does not keep it alive.
///
/// All methods may be called concurrently from many tasks. All futures are cancel safe: they may be dropped at any
/// await.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(credentials)?;
///
/// let current = session.credentials().await?;
/// assert_eq!(current.access_key_id().last_four(), "MPLE");
///
/// session.close();
/// assert!(session.credentials().await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionContext(Arc<CloseOnLastDrop>);

/// Closes the session when the last handle is dropped. Children and accounts refer to [`SessionInner`], never to this type.
struct CloseOnLastDrop(Arc<SessionInner>);

impl Drop for CloseOnLastDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl SessionContext {
    /// Returns a builder for a new session.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::new()
    }

    /// Builds a session, runs `work` with it, and closes it. The session is also closed when `work` panics, and when
    /// the returned future is dropped before it completes. Handles that `work` passed on are closed with it.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, SessionContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let kept = SessionContext::scope(SessionContext::builder(), async |session: SessionContext| {
    ///     session.set_credentials(credentials)?;
    ///     session.credentials().await?;
    ///     Ok::<_, valetkey_core::Error>(session)
    /// })
    /// .await?;
    /// assert!(kept.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future drops `work` where it waits, and closes the session.
    pub async fn scope<T>(builder: SessionBuilder, work: impl AsyncFnOnce(SessionContext) -> T) -> T {
        let session = CloseScopeOnDrop(builder.build());
        work(session.0.clone()).await
    }

    /// Returns valid credentials of the default account, from memory if they are fresh, otherwise from the provider.
    ///
    /// # Errors
    /// `NotConfigured` when no credentials were set and there is no provider; `Expired` when the credentials have
    /// expired and could not be replaced; `Closed` after [`close`](Self::close); otherwise the error of the provider.
    pub async fn credentials(&self) -> Result<Credentials> {
        self.inner().credentials().await
    }

    /// Calls `read` with the credentials of the default account if they are fresh, without waiting. Otherwise returns
    /// `None` without calling `read`; then call [`credentials`](Self::credentials).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let session = SessionContext::builder().build();
    /// assert_eq!(session.with_cached(|credentials| credentials.expiry()), None);
    /// ```
    pub fn with_cached<T>(&self, read: impl FnOnce(&Credentials) -> T) -> Option<T> {
        self.inner().cached_default().as_ref().map(read)
    }

    /// Returns the credentials of the default account that can be served without a fetch, with their version; `None`
    /// when there are none. Unlike [`credentials`](Self::credentials), this never fetches, however close the expiry
    /// is.
    #[must_use]
    pub fn current(&self) -> Option<CurrentCredentials> {
        self.inner().current_default()
    }

    /// Sets the credentials of the default account, which from now on take precedence over its provider.
    ///
    /// Credentials that providers issued to the other accounts are invalidated, since a role may have been assumed
    /// with the credentials that were replaced: these accounts fetch again at their next use.
    ///
    /// # Errors
    /// `Invalid` for credentials that have expired, `Denied` in a [narrowed](Self::narrow) session and for an account
    /// that is not [allowed](SessionBuilder::allowed_accounts), `Closed` after closing. On error, the previous
    /// credentials stay in place.
    pub fn set_credentials(&self, credentials: Credentials) -> Result<Generation> {
        self.inner().set_credentials(self.default_account(), credentials)
    }

    /// Sets the provider that the default account uses while no credentials are set on it.
    ///
    /// # Errors
    /// `Denied` in a [narrowed](Self::narrow) session and for an account that is not
    /// [allowed](SessionBuilder::allowed_accounts), `Closed` after closing.
    pub fn set_provider(&self, provider: impl IntoProvider) -> Result<()> {
        self.inner().set_provider(self.default_account(), provider.into_provider())
    }

    /// Sets the key exchange of the default account; see [`SessionAccount::set_key_exchange`].
    ///
    /// # Errors
    /// As [`set_provider`](Self::set_provider).
    pub fn set_key_exchange(&self, exchange: impl KeyExchange + 'static) -> Result<()> {
        self.inner().set_key_exchange(self.default_account(), Arc::new(exchange))
    }

    /// Looks up `id` with the session's resolver and sets the credentials it returns on the default account. A
    /// `region` given here takes precedence over the region of the credentials. On error, the previous credentials
    /// stay in place.
    ///
    /// Returns the status of the account, never the credentials that were found: an account with a
    /// [key exchange](crate::KeyExchange) serves other credentials in their place.
    ///
    /// # Errors
    /// `NotConfigured` without a resolver; `Unavailable` when the session was cleared during the lookup; otherwise the
    /// error of the resolver, or as [`set_credentials`](Self::set_credentials).
    ///
    /// # Cancel safety
    /// Dropping the future ends the lookup, and sets nothing.
    pub async fn set_from_resolver(
        &self,
        id: &CredentialId,
        region: Option<Region>,
    ) -> Result<AccountStatus> {
        self.inner().set_from_resolver(self.default_account(), id, region).await
    }

    /// Fetches new credentials from the default account's provider now, or joins a fetch that is already running.
    ///
    /// # Errors
    /// `NotConfigured` when the account has no provider or its credentials were set directly; otherwise the error of
    /// the provider. After a transient error, the current credentials stay valid.
    pub async fn refresh(&self) -> Result<Generation> {
        self.inner().refresh(self.default_account()).await
    }

    /// Refreshes the default account as [`refresh`](Self::refresh) does. After a [`clear`](Self::clear), it also resumes the
    /// session's providers, if this account has one. Credentials that were set before the clear are not restored.
    ///
    /// Call it only when a user or a model requests it: nothing else may refill a session that was cleared.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, SessionContext, provider_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// let provider = provider_fn("store", async || {
    ///     Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()
    /// });
    /// let session = SessionContext::builder().provider(provider).build();
    /// session.clear();
    /// assert!(session.credentials().await.is_err(), "a cleared session is not refilled");
    /// session.resume().await?;
    /// session.credentials().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves the providers resumed: the next call for credentials fetches.
    pub async fn resume(&self) -> Result<Generation> {
        self.inner().resume(self.default_account()).await
    }

    /// Reports that a service rejected a key as expired or invalid (`ExpiredToken`, `ExpiredTokenException`,
    /// `InvalidToken`; not `AccessDenied`). If the key is still the current one of the default account, it counts as
    /// expired from now on.
    ///
    /// An account with a provider then fetches at its next use. An account whose credentials were set directly fails
    /// with `Expired` until others are set. A key that was rotated away is ignored, so a late report does no harm.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, ErrorKind, SessionContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let session = SessionContext::builder().build();
    /// session.set_credentials(credentials)?;
    ///
    /// let used = session.credentials().await?;
    /// // The service responded with `ExpiredToken`.
    /// session.mark_rejected(used.access_key_id());
    ///
    /// let error = session.credentials().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Expired);
    /// # Ok(())
    /// # }
    /// ```
    pub fn mark_rejected(&self, rejected: &AccessKeyId) {
        self.inner().mark_rejected(self.default_account(), rejected);
    }

    /// Returns a reference to one account of this session. It follows rotation and clearing, and does not keep the
    /// session alive.
    ///
    /// # Errors
    /// `NotConfigured` for an account that the session does not have, `Closed` after closing.
    pub fn account(&self, name: &AccountName) -> Result<SessionAccount> {
        self.inner().account_cache(name).map(|_known| self.for_account(name))
    }

    /// Returns a reference to the account of this name, whether or not the session has it. The account is added when
    /// credentials or a provider are set on it; until then, its other operations fail with `NotConfigured`.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccountName, Credentials, SessionContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let session = SessionContext::builder().build();
    /// let prod: AccountName = "prod".parse()?;
    /// session.for_account(&prod).set_credentials(credentials)?;
    /// session.for_account(&prod).credentials().await?;
    /// assert!(session.credentials().await.is_err(), "the default account has none");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn for_account(&self, name: &AccountName) -> SessionAccount {
        SessionAccount::new(Arc::downgrade(self.inner()), name.clone())
    }

    /// Returns the name of the default account.
    #[must_use]
    pub fn default_account(&self) -> &AccountName {
        self.inner().default_account().name()
    }

    /// Returns the names of the accounts of this session, the default account first.
    ///
    /// An inherited account is listed once, even if a parent and a child both have it.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountName> {
        self.inner().accounts().iter().map(|cache| cache.name().clone()).collect()
    }

    /// Returns a watcher that reports the generation of each new version of the default account's credentials, and their
    /// clearing.
    ///
    /// # Errors
    /// `Closed` after closing, `NotConfigured` in a narrowed session that was cleared.
    pub fn watch_rotations(&self) -> Result<RotationWatcher> {
        RotationWatcher::new(self.inner(), self.default_account())
    }

    /// Returns the region that the default account's credentials specify, otherwise the account's own setting, otherwise the
    /// session's. `None` if none of them specifies one: [`resolved_region`](Self::resolved_region) then uses further
    /// sources.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.inner().region_for(self.default_account())
    }

    /// Returns the region to use the default account in: that of its credentials, the account, the session, the environment,
    /// or else `us-east-1`.
    #[must_use]
    pub fn resolved_region(&self) -> Region {
        self.inner().resolved_region(self.default_account())
    }

    /// Returns the non-secret facts about the current service that were set last.
    ///
    /// A child session without facts of its own returns those of its parent. Clearing and closing drop them.
    #[must_use]
    pub fn service_context(&self) -> Option<Arc<Value>> {
        self.inner().service_context()
    }

    /// Stores non-secret facts about the current service, and replaces those stored before.
    ///
    /// # Errors
    /// `Invalid` unless `facts` is a JSON object, `Closed` after closing.
    ///
    /// # Examples
    /// ```
    /// # use serde_json::json;
    /// # use valetkey_core::SessionContext;
    /// let session = SessionContext::builder().build();
    /// session.set_service_context(json!({ "cluster": "staging" }))?;
    /// let facts = session.service_context().expect("facts were stored");
    /// assert_eq!(facts["cluster"], "staging");
    ///
    /// assert!(session.set_service_context(json!("staging")).is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn set_service_context(&self, facts: Value) -> Result<()> {
        if !facts.is_object() {
            return Err(Error::invalid("service_context", "must be a JSON object"));
        }
        self.inner().set_service_context(facts)
    }

    /// Returns the status of the session. It holds no secrets and may be shown to any user.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        SessionStatus::of(self.inner())
    }

    /// Returns the id of the session, as in its status and audit records.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.inner().shared.id
    }

    /// Returns the principal that the session acts for.
    ///
    /// A child session acts for the principal of its parent.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.inner().shared.principal.as_ref()
    }

    /// Adds an event to the audit log on behalf of a consumer, such as an endpoint that served or refused a request.
    ///
    /// The record holds the version and the last characters of the current key, never a secret. Without a
    /// [sink](SessionBuilder::audit), the call does nothing.
    pub fn audit(&self, event: AuditEvent, account: &AccountName, component: &str, failure: Option<&Error>) {
        self.inner().record(event, account, component, failure);
    }

    /// Adds a step of a request for the access `name`, which this session does not have, to its audit log. `granted`
    /// describes the session that has the access, and `decided_by` states where a person has decided.
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use valetkey_core::SessionContext;
    /// # use valetkey_core::audit::{AuditEvent, InMemoryAudit};
    /// let audit = Arc::new(InMemoryAudit::default());
    /// let session = SessionContext::builder().audit(audit.clone()).build();
    /// session.audit_access(AuditEvent::RequestAccess, "deploy", None, None, None);
    /// assert_eq!(audit.records()[0].component.as_deref(), Some("deploy"));
    /// ```
    pub fn audit_access(
        &self,
        event: AuditEvent,
        name: &str,
        granted: Option<&NarrowDetails>,
        decided_by: Option<DecisionChannel>,
        failure: Option<&Error>,
    ) {
        self.inner().shared.audit(event, |record| {
            let record = record.with_component(name);
            let record = granted.cloned().into_iter().fold(record, AuditRecord::with_narrow_details);
            let record = decided_by.into_iter().fold(record, AuditRecord::with_decision);
            failure.into_iter().fold(record, AuditRecord::with_failure)
        });
    }

    /// Attaches an observer to this session, its ancestors and all their child sessions.
    ///
    /// The observer receives at once all credentials that these sessions hold, and from then on all credentials that
    /// are set on them or that they fetch: credentials that are set, including long-lived keys that are only
    /// exchanged; credentials returned by providers and resolvers; and those fetched by
    /// [`ObservedProvider`](crate::ObservedProvider)s with the same [observers](Self::observers).
    ///
    /// The session does not keep the observer alive.
    pub fn observe<O: CredentialObserver + 'static>(&self, observer: &Arc<O>) {
        let observer: Arc<dyn CredentialObserver> = Arc::<O>::clone(observer);
        let inner = self.inner();
        // Attach first: credentials published concurrently are then reported, or found below, or both.
        inner.shared.observers().attach(&observer);
        inner.root().report_held(&*observer);
    }

    /// Returns the clock of the session.
    ///
    /// Code that compares expiries of this session uses this clock, so that a test which moves it moves all of them.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.inner().shared.clock().shared()
    }

    /// Returns the observers of this session, for providers whose credentials no account of the session serves.
    #[must_use]
    pub fn observers(&self) -> CredentialObservers {
        self.inner().shared.observers().clone()
    }

    /// Creates a child session whose default account holds `credentials`: a temporary switch that siblings do not see.
    /// The other accounts are inherited. The child ends with its last handle, or with this session.
    ///
    /// # Errors
    /// As [`set_credentials`](Self::set_credentials).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, SessionContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let session = SessionContext::builder().build();
    /// let child = session.with_credentials(credentials)?;
    /// child.credentials().await?;
    /// assert!(session.credentials().await.is_err(), "the parent does not see them");
    ///
    /// drop(child);
    /// assert!(!session.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_credentials(&self, credentials: Credentials) -> Result<Self> {
        let child = Self(Arc::new(CloseOnLastDrop(self.inner().child()?)));
        child.set_credentials(credentials)?;
        Ok(child)
    }

    /// Creates a child session whose default account uses `provider`, as [`with_credentials`](Self::with_credentials)
    /// does.
    ///
    /// # Errors
    /// `Denied` in a [narrowed](Self::narrow) session, `Closed` after closing.
    pub fn with_provider(&self, provider: impl IntoProvider) -> Result<Self> {
        let child = Self(Arc::new(CloseOnLastDrop(self.inner().child()?)));
        child.inner().set_default_provider(provider.into_provider())?;
        Ok(child)
    }

    /// Creates a child session with less authority: fewer accounts, a policy on each account, a shorter lifetime.
    /// Other accounts do not exist for the child.
    ///
    /// Without a policy, the child is a view of this session: credentials that are set, refreshed or cleared here
    /// change in the child at once. With a policy, each account of the child has its own credentials, from this
    /// session's provider [scoped down](crate::CredentialProvider::scope_down) to the policy; credentials of this session
    /// never reach the child. The provider is looked up at each fetch, so replacing it here replaces it in the child.
    /// The child has the accounts that this session has now.
    ///
    /// The holder of the child can narrow it further, but cannot widen it. The child accepts no credentials and no
    /// providers, neither directly nor through a resolver: they would not be bounded by the policy although they
    /// belong to a session that is, and a resolver can look up everything that its host may use. To use other
    /// credentials, open another session.
    ///
    /// The child ends when its lifetime is over, when this session is cleared or closed, when it is cleared itself, or
    /// with its last handle. Then every use fails with `Closed`. Credentials that the child serves expire by then at
    /// the latest; AWS accepts a copy in another process for as long as it was issued.
    ///
    /// # Errors
    /// `NotConfigured` for an account that is not known, or that has neither credentials nor a provider. `Invalid`,
    /// naming the account, when a policy cannot be applied to it: its credentials were set directly (even if there is
    /// a provider, which may belong to a different identity), or its provider cannot be narrowed, or not by this
    /// policy. `Invalid` for an empty list of accounts and for a zero lifetime. `Closed` after closing.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccessScope, SessionContext, SessionPolicy};
    /// # async fn demo(session: SessionContext) -> valetkey_core::Result<()> {
    /// let scope = AccessScope::new().policy(SessionPolicy::read_only(["s3"])?);
    /// let child = session.narrow(scope)?;
    /// child.credentials().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn narrow(&self, scope: AccessScope) -> Result<Self> {
        self.inner().narrow(&scope)
    }

    /// Refreshes the accounts of this session and of its children as they enter the advisory window, until the session
    /// ends, within the standard [`RefreshLimits`].
    ///
    /// While the future is polled, callers that request credentials in that window neither wait nor fetch. Accounts
    /// whose credentials were never requested, and accounts inherited from a parent, are not refreshed. Spawn the
    /// future, or select over it: it holds no handle and does not keep the session alive.
    ///
    /// # Cancel safety
    /// Dropping the future stops the background refreshes; callers then fetch for themselves.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// let session = SessionContext::builder().build();
    /// let worked = tokio::select! {
    ///     () = session.keep_warm() => false,
    ///     () = work(&session) => true,
    /// };
    /// assert!(worked);
    /// # async fn work(_session: &SessionContext) {}
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_warm(&self) -> impl Future<Output = ()> + Send + 'static {
        let queue = RefreshQueue::new(self.inner().shared.clock());
        self.inner().attach_refresher(&queue);
        let session = Arc::downgrade(self.inner());
        let is_open = move || session.upgrade().is_some_and(|session| !session.is_closed());
        cache::run_refreshes(queue, RefreshLimits::default(), is_open)
    }

    /// Clears all credentials, here and in the child sessions, and invalidates all running fetches.
    ///
    /// The session stays usable, but calls no provider until credentials or a provider are set again: a cleared
    /// session is never refilled without its owner's action. Clearing twice has the same effect as clearing once. A
    /// [narrowed](Self::narrow) session, which accepts no credentials, is closed instead.
    ///
    /// Returns what AWS still accepts, as [`outstanding`](Self::outstanding).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, ErrorKind, SessionContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let session = SessionContext::builder().build();
    /// session.set_credentials(credentials.clone())?;
    ///
    /// let outstanding = session.clear();
    /// assert!(!outstanding.is_empty(), "AWS accepts a long-lived key until its owner deletes it");
    /// assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    ///
    /// session.set_credentials(credentials)?;
    /// session.credentials().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear(&self) -> OutstandingCredentials {
        self.inner().clear();
        self.outstanding()
    }

    /// Returns whether the session was cleared or closed, and nothing was set on it since.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.inner().is_account_cleared(self.default_account())
    }

    /// Clears all credentials and closes the session permanently. Every later use through any handle or child session
    /// fails with `Closed`.
    ///
    /// Returns what AWS still accepts, as [`outstanding`](Self::outstanding).
    pub fn close(&self) -> OutstandingCredentials {
        self.close_quietly();
        self.outstanding()
    }

    /// Closes the session without computing what is outstanding.
    ///
    /// Used where the report would be dropped: computing it visits all children.
    pub(crate) fn close_quietly(&self) {
        self.inner().close();
    }

    /// Returns until when AWS accepts the credentials that this session and its children have held, for any holder of
    /// a copy. Covers credentials that were rotated away, and remains correct after the session was cleared or closed.
    #[must_use]
    pub fn outstanding(&self) -> OutstandingCredentials {
        OutstandingCredentials::of(self.inner())
    }

    /// Returns when the session ends by itself: `Never` unless it, or a session that it was narrowed from, has a
    /// [lifetime](AccessScope::lifetime).
    #[must_use]
    pub fn expires_at(&self) -> Expiry {
        self.inner().deadline().map_or(Expiry::Never, Expiry::At)
    }

    /// Returns whether the session was closed.
    ///
    /// A narrowed session whose lifetime is over is closed by the first call that notices, such as this one.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed()
    }

    /// Waits until the session is closed: by [`close`](Self::close), by the end of its lifetime, with its parent, or when
    /// its last clone is dropped. The future holds no clone and does not keep the session alive.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut topology = self.inner().subscribe_topology();
        let session = Arc::downgrade(self.inner());
        async move {
            while session.upgrade().is_some_and(|session| !session.is_closed()) {
                tokio::select! {
                    biased;
                    // The sender is dropped with the session.
                    changed = topology.changed() => if changed.is_err() { return },
                    () = SessionInner::wait_expired(&session) => {}
                }
            }
        }
    }

    /// Registers this session for background refreshes.
    ///
    /// Called by a registry, whose queue serves all of its sessions. Registering twice has the same effect as once.
    pub(crate) fn attach_refresher(&self, queue: &Arc<RefreshQueue>) {
        self.inner().attach_refresher(queue);
    }

    /// Returns whether the session was closed, without checking its deadline: closing an overdue session may run user
    /// code.
    pub(crate) fn is_closed_unchecked(&self) -> bool {
        self.0.0.is_closed_unchecked()
    }

    /// Returns a reference to this session that does not keep it open.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let session = SessionContext::builder().build();
    /// let weak = session.downgrade();
    /// drop(session);
    /// assert!(weak.upgrade().is_none(), "the session was closed with its last handle");
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakSession {
        WeakSession::new(&self.0)
    }

    /// Closes the session if its deadline has passed. Every public method uses this accessor, so that none overlooks
    /// it.
    #[inline]
    fn inner(&self) -> &Arc<SessionInner> {
        let _over = self.0.0.close_if_expired();
        &self.0.0
    }
}

/// Closes the session of a [scope](SessionContext::scope), also when the work panics.
struct CloseScopeOnDrop(SessionContext);

impl Drop for CloseScopeOnDrop {
    fn drop(&mut self) {
        self.0.close_quietly();
    }
}

/// A session provides the credentials of its default account, from memory when it can.
#[async_trait]
impl CredentialProvider for SessionContext {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("session")
    }

    async fn provide(&self) -> Result<Credentials> {
        self.credentials().await
    }

    fn cached(&self) -> Option<Credentials> {
        self.inner().cached_default()
    }

    /// Returns the provider of the default account, narrowed, as [`SessionAccount`] does.
    ///
    /// # Errors
    /// As [`narrow`](SessionContext::narrow).
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.account(self.default_account())?.scope_down(policy)
    }
}

impl fmt::Debug for SessionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionContext")
            .field("id", &self.id())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
