//! Creates child sessions with less authority.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::SessionInner;
use crate::audit::{AuditEvent, NarrowDetails};
use crate::session::narrow::{NarrowState, NarrowedAccountProvider, Restrictions, with_account_context};
use crate::session::{AccessScope, CloseOnLastDrop, SessionAccount, SessionContext};
use crate::{AccountName, Error, Expiry, Result, SessionPolicy};

impl SessionInner {
    /// Creates a child within `scope`. The checks come first, so that a refused request creates no child.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`].
    pub(in crate::session) fn narrow(self: &Arc<Self>, scope: &AccessScope) -> Result<SessionContext> {
        let accounts = self.select_accounts(scope.accounts.as_deref())?;
        let deadline = self.deadline_for(scope.lifetime)?;
        if let Some(policy) = &scope.policy {
            accounts.iter().try_for_each(|name| self.check_narrowable(name, policy))?;
        }
        let child = self.create_narrowed_child(scope, &accounts, deadline)?;
        self.record_narrowing(&child, scope, accounts);
        Ok(SessionContext(Arc::new(CloseOnLastDrop(child))))
    }

    /// Returns the accounts that a scope selects, the default account first.
    ///
    /// # Errors
    /// As [`account_cache`](Self::account_cache); `Invalid` for an empty list.
    fn select_accounts(&self, requested: Option<&[AccountName]>) -> Result<Vec<AccountName>> {
        let Some(requested) = requested else {
            self.account_cache(self.default_account().name())?;
            return Ok(self.accounts().iter().map(|cache| cache.name().clone()).collect());
        };
        let mut selected = Vec::new();
        for name in requested {
            self.account_cache(name)?;
            if !selected.contains(name) {
                selected.push(name.clone());
            }
        }
        if selected.is_empty() {
            return Err(Error::invalid("accounts", "must name one at least"));
        }
        selected.sort_by_key(|name| name != self.default_account().name());
        Ok(selected)
    }

    /// Returns when a child of this lifetime ends, at the latest with this session.
    ///
    /// # Errors
    /// `Invalid` for a lifetime of zero, and for one beyond the range of the clock.
    fn deadline_for(&self, lifetime: Option<Duration>) -> Result<Option<SystemTime>> {
        let invalid = |rule| Error::invalid("lifetime", rule);
        let end_of = |lifetime: Duration| match self.shared.now().checked_add(lifetime) {
            _ if lifetime.is_zero() => Err(invalid("must not be zero")),
            until => until.ok_or_else(|| invalid("is too long")),
        };
        let requested = lifetime.map(end_of).transpose()?;
        Ok(requested.into_iter().chain(self.deadline()).min())
    }

    /// Scopes the provider down once and drops the result, so that an unsuitable provider is reported when the
    /// child is created and not at its first fetch. A refusal is recorded in the audit log.
    ///
    /// # Errors
    /// As [`scope_down`](crate::cache::AccountCache::scope_down) of the account, which the error names.
    fn check_narrowable(&self, name: &AccountName, policy: &SessionPolicy) -> Result<()> {
        let result = self
            .account_cache(name)?
            .scope_down(policy)
            .map(drop)
            .map_err(|error| with_account_context(name, &error));
        if let Err(error) = &result {
            self.record(AuditEvent::Deny, name, "narrow", Some(error));
        }
        result
    }

    /// Creates the child and attaches it. The child gets no resolver: it could look up credentials that the policy
    /// does not bound.
    fn create_narrowed_child(
        self: &Arc<Self>,
        scope: &AccessScope,
        accounts: &[AccountName],
        deadline: Option<SystemTime>,
    ) -> Result<Arc<Self>> {
        let [default, ..] = accounts else {
            return Err(Error::invalid("accounts", "must name one at least"));
        };
        let own_accounts = scope.policy.is_some();
        // A view of all accounts also shows accounts that are added later. With a policy, only the child's own
        // accounts may be known: others would be inherited without the policy.
        let has_fixed_accounts = own_accounts || scope.accounts.is_some();
        let mut child = self.new_child(default, scope.session_id);
        let allowed = has_fixed_accounts.then(|| accounts.into());
        child.restrictions =
            Some(Box::new(Restrictions { allowed, narrowed: Some(NarrowState { own_accounts, deadline }) }));
        let child = self.attach_child(child);
        if let Some(policy) = &scope.policy {
            for name in accounts {
                let source = SessionAccount::new(Arc::downgrade(self), name.clone());
                let cache = child.get_or_create_account(name);
                cache.set_provider(Arc::new(NarrowedAccountProvider::new(
                    source,
                    policy.clone(),
                    deadline,
                )))?;
            }
        }
        Ok(child)
    }

    /// Records in the log of this session what the child may do.
    fn record_narrowing(&self, child: &Self, scope: &AccessScope, accounts: Vec<AccountName>) {
        let details = || NarrowDetails {
            child: child.shared.id,
            accounts,
            policy: scope.policy.as_ref().map(SessionPolicy::digest),
            expires_at: child.deadline().map_or(Expiry::Never, Expiry::At),
        };
        self.shared.audit(AuditEvent::Narrow, |record| record.with_narrow_details(details()));
    }
}
