//! Builds a provider for each account of the settings, sources first, and detects cycles.

use std::sync::Arc;

use valetkey::backends::{AwsClientConfig, MemoryProvider, StsKeyExchange};
use valetkey::{
    AccountName, Attribution, CredentialObservers, Credentials, Error, ErrorKind, KeyExchange,
    ObservedProvider, Region, Result, SessionBuilder, SessionContext, provider_fn,
};

use super::claims::{self, ClaimSource};
use super::provider::{ProviderContext, SharedProvider, build_provider};
use super::{SessionInputs, exchange};
use crate::settings::{AccountSettings, Diagnostic, ProviderSettings, Settings};
use crate::terminal::Terminal;

pub(super) const NOT_ALLOWED: &str =
    "is not one of the `allowed_accounts` of the session; add it there or name another";
pub(super) const NOT_ALLOWED_FOR_PRINCIPAL: &str =
    "is not one of the `accounts` of the session's principal; add it there or name another";
const SOURCE_IS_FEDERATED: &str = "leads to a federated user, who may not assume roles; take name and policies out there, and put \
                         the policies on the role";
const SOURCE_IS_TEMPORARY: &str = "leads to temporary credentials, which STS does not exchange; name one that has long-lived keys, \
                         or use that account as it is";
const SOURCE_IS_HIDDEN_MEMORY: &str = "leads past the session to an account of provider `memory`, on which nothing can be set; add it \
                           to `allowed_accounts`";

pub(super) struct AccountBuilder<'a> {
    settings: &'a Settings,
    base: &'a AwsClientConfig,
    terminal: &'a Terminal,
    /// Receives the credentials that no account of the session publishes.
    observers: &'a CredentialObservers,
    claims: ClaimSource<'a>,
    /// Every account with a valid name, sources first.
    order: Vec<(&'a str, AccountName)>,
}

impl<'a> AccountBuilder<'a> {
    /// Orders the accounts and reports invalid names, unknown sources and cycles.
    pub(super) fn new(
        inputs: &SessionInputs<'a>,
        base: &'a AwsClientConfig,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let SessionInputs { settings, terminal, observers, claims, .. } = *inputs;
        let mut accounts = Self { settings, base, terminal, observers, claims, order: Vec::new() };
        for name in settings.accounts.keys() {
            accounts.add_in_order(name, &mut Vec::new(), diagnostics);
        }
        if let Some(default) = &settings.session.default_account {
            let at_default = ["session", "default_account"];
            if !settings.contains_account(default) {
                diagnostics.push(settings.diagnostic(&at_default, settings.unknown_account_message(default)));
            } else if !settings.allows_for_any_principal(default) {
                diagnostics.push(settings.diagnostic(&at_default, NOT_ALLOWED));
            }
        }
        accounts.check_allowed(diagnostics);
        accounts.order.iter().for_each(|(name, _)| accounts.check_source(name, diagnostics));
        accounts
    }

    /// Reports a source that is an account but cannot be used as a source.
    fn check_source(&self, name: &str, diagnostics: &mut Vec<Diagnostic>) {
        let account = &self.settings.accounts[name];
        let Some(source) = account.source().and_then(|source| self.settings.accounts.get(source)) else {
            return;
        };
        let message = match account.provider {
            ProviderSettings::AssumeRole(_) if source.is_federated_user() => SOURCE_IS_FEDERATED,
            ProviderSettings::Federation(_) if source.is_temporary() => SOURCE_IS_TEMPORARY,
            _ => return,
        };
        diagnostics.push(self.settings.diagnostic(&["accounts", name, "source"], message));
    }

    fn check_allowed(&self, diagnostics: &mut Vec<Diagnostic>) {
        let at_list = ["session", "allowed_accounts"];
        match &self.settings.session.allowed_accounts {
            Some(allowed) if allowed.is_empty() => {
                diagnostics.push(
                    self.settings
                        .diagnostic(&at_list, "must name one account at least; leave it out for all"),
                );
            }
            Some(allowed) if !allowed.iter().all(|name| self.settings.contains_account(name)) => {
                let what = self.settings.unknown_account_in_list_message(allowed);
                diagnostics.push(self.settings.diagnostic(&at_list, what));
            }
            _ => {}
        }
    }

    /// Returns the accounts of the session, or `None` if they are not restricted.
    pub(super) fn allowed_accounts(&self) -> Option<Vec<AccountName>> {
        let settings = self.settings;
        let listed = settings.principal_accounts().or(settings.session.allowed_accounts.as_deref());
        // Keys set on an account that the settings do not define would bypass the key exchange of the other accounts.
        let has_exchange = settings.accounts.values().any(|account| account.exchange.is_some());
        let named = || self.order.iter().map(|(_, alias)| alias.clone()).collect();
        // Without a default, the session would otherwise have an account `default` that is not in the file.
        let has_no_default = !self.order.is_empty() && settings.default_account().is_none();
        let Some(listed) = listed else { return (has_exchange || has_no_default).then(named) };
        let allowed = listed.iter().filter(|name| settings.allows(name));
        Some(allowed.filter_map(|name| name.parse().ok()).collect())
    }

    /// Returns the default account of the session. If the choice is ambiguous, commands that need a default account
    /// report it.
    pub(super) fn default_account_name(&self) -> AccountName {
        let default = self.settings.default_account();
        default.and_then(|name| name.parse().ok()).unwrap_or_else(AccountName::default_account)
    }

    /// Sets the region of each account that has one. [`set_providers`](Self::set_providers) reports invalid regions.
    pub(super) fn apply_regions(&self, builder: SessionBuilder) -> SessionBuilder {
        let regions = self.order.iter().filter_map(|(name, alias)| {
            let region: Region = self.settings.accounts[*name].region()?.parse().ok()?;
            Some((alias.clone(), region))
        });
        regions.fold(builder, |builder, (alias, region)| builder.region_for(alias, region))
    }

    /// Sets the session's providers. A source is an account of the session, so it is cached and follows the credentials
    /// set on it; a source that the session may not use is built outside the session. If a source is invalid, the rest
    /// of the account is checked without it.
    pub(super) fn set_providers(&self, session: &SessionContext, diagnostics: &mut Vec<Diagnostic>) {
        let session_account =
            |source: &str| Some(Arc::new(session.account(&source.parse().ok()?).ok()?) as SharedProvider);
        for (name, alias) in &self.order {
            let attribution = self.attribution_for(session, alias);
            let source = match self.settings.accounts[*name].source() {
                Some(hidden) if !self.settings.allows(hidden) => {
                    self.hidden_source(hidden, name, &attribution, diagnostics)
                }
                source => source.and_then(session_account).unwrap_or_else(empty_provider),
            };
            match self.build_account(name, source, attribution) {
                Ok(built) if self.settings.allows(name) => {
                    let refused = match built {
                        BuiltAccount::Provider(provider) => {
                            session.for_account(alias).set_provider(provider).err()
                        }
                        BuiltAccount::KeyExchange(guard) => {
                            session.for_account(alias).set_key_exchange(guard).err()
                        }
                    };
                    diagnostics.extend(
                        refused.map(|error| self.settings.to_diagnostic(&["accounts", name], &error)),
                    );
                }
                Ok(_) => {}
                Err(_) if self.is_unusable_without_caller(name) => {
                    // Only an account of the session can be used, and so needs an error.
                    let _not_allowed =
                        session.for_account(alias).set_provider(provider_fn("caller", caller_missing));
                }
                Err(errors) => diagnostics.extend(errors),
            }
        }
    }

    /// Whether errors in the account concern only sessions for other callers: the account needs the token of a caller,
    /// and this session has none, or does not use the account.
    fn is_unusable_without_caller(&self, name: &str) -> bool {
        let account = &self.settings.accounts[name];
        let is_unused =
            || !self.order.iter().any(|(used, _)| self.settings.allows(used) && self.leads_to(used, name));
        claims::depends_on_caller(account)
            && match self.claims {
                ClaimSource::Placeholder => false,
                ClaimSource::Absent => true,
                ClaimSource::Caller(_) => is_unused(),
            }
    }

    /// Whether `name` is the account `from`, or one of its sources.
    fn leads_to(&self, from: &str, name: &str) -> bool {
        let mut current = Some(from);
        for _ in 0..=self.settings.accounts.len() {
            match current {
                Some(account) if account == name => return true,
                Some(account) => {
                    current = self.settings.accounts.get(account).and_then(AccountSettings::source)
                }
                None => return false,
            }
        }
        false
    }

    /// Builds the provider of an account, with its key exchange if it has one.
    fn build_account(
        &self,
        name: &str,
        source: SharedProvider,
        attribution: Attribution,
    ) -> Result<BuiltAccount, Vec<Diagnostic>> {
        let account = &self.settings.accounts[name];
        let to_diagnostics = |section: &[&str], errors: Vec<Error>| -> Vec<Diagnostic> {
            errors.iter().map(|error| self.settings.to_diagnostic(section, error)).collect()
        };
        let source_settings = account.source().and_then(|source| self.settings.accounts.get(source));
        let is_chained = source_settings.is_some_and(AccountSettings::is_temporary);
        let (base, terminal) = (self.base, self.terminal);
        let attribution_mode = self.settings.session.attribution;
        let folder = self.settings.folder();
        let context = ProviderContext {
            name,
            base,
            source,
            is_chained,
            attribution,
            attribution_mode,
            terminal,
            folder,
            claims: self.claims,
        };
        let own = build_provider(&account.provider, &context)
            .map_err(|errors| to_diagnostics(&["accounts", name], errors));
        let Some(exchange) = &account.exchange else { return own.map(BuiltAccount::Provider) };
        // STS uses the region of the account, because nothing else specifies one here.
        let region: Option<Region> = account.region().and_then(|region| region.parse().ok());
        let base = region.iter().fold(self.base.clone(), AwsClientConfig::region);
        let with_exchange = |own: SharedProvider| {
            let guard = exchange::build_key_exchange(
                exchange,
                own,
                &ProviderContext { base: &base, ..context.clone() },
            );
            guard.map_err(|errors| to_diagnostics(&["accounts", name, "exchange"], errors))
        };
        match own {
            // The long-lived keys are never served, but the output of a server that finds them must be redacted too.
            Ok(own) => with_exchange(self.with_observers(own)).map(BuiltAccount::KeyExchange),
            Err(errors) => Err([errors, with_exchange(empty_provider()).err().unwrap_or_default()].concat()),
        }
    }

    /// Builds a source that the session may not use. It is not cached, so that a clear leaves no credentials behind.
    fn hidden_source(
        &self,
        source: &str,
        name: &str,
        attribution: &Attribution,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> SharedProvider {
        if self.base_source(source).is_some_and(AccountSettings::is_memory) {
            diagnostics
                .push(self.settings.diagnostic(&["accounts", name, "source"], SOURCE_IS_HIDDEN_MEMORY));
        }
        self.base_source(source)
            .and_then(|_checked| self.build_detached(source, attribution))
            .unwrap_or_else(empty_provider)
    }

    /// Builds an account outside the session, and its sources likewise. It gets a session of its own, which caches its
    /// credentials.
    pub(super) fn detached_provider(&self, name: &str, diagnostics: &mut Vec<Diagnostic>) -> SharedProvider {
        let settings = self.settings;
        let mut report = |what: String| diagnostics.push(settings.diagnostic(&["resolver", "source"], what));
        if !settings.contains_account(name) {
            report(settings.unknown_account_message(name));
        }
        match self.base_source(name) {
            Some(root) if root.is_memory() => report(
                "leads to an account of provider `memory`, which holds nothing before the first secret is read; \
                 name one that leads to `environment`"
                    .to_owned(),
            ),
            Some(_) => {
                let builder = SessionContext::builder();
                let attribution = Attribution::new().session(builder.id());
                let provider = self.build_detached(name, &attribution).unwrap_or_else(empty_provider);
                return Arc::new(builder.provider(provider).build());
            }
            // Already reported where the account is defined.
            None => {}
        }
        empty_provider()
    }

    /// Returns the account at the end of the chain of sources, unless the chain is invalid.
    fn base_source(&self, name: &str) -> Option<&'a AccountSettings> {
        let mut account = self.settings.accounts.get(name)?;
        for _ in &self.settings.accounts {
            match account.source() {
                None => return Some(account),
                Some(source) => account = self.settings.accounts.get(source)?,
            }
        }
        None
    }

    /// Builds an account whose chain of sources is valid. [`set_providers`](Self::set_providers) reports errors in its
    /// fields.
    fn build_detached(&self, name: &str, attribution: &Attribution) -> Option<SharedProvider> {
        let account = self.settings.accounts.get(name)?;
        let source = account
            .source()
            .and_then(|source| self.build_detached(source, attribution))
            .unwrap_or_else(empty_provider);
        let built = self.build_account(name, source, attribution.clone().account(name.parse().ok()?));
        built.ok().map(|built| self.with_observers(built.into_provider()))
    }

    fn with_observers(&self, provider: SharedProvider) -> SharedProvider {
        Arc::new(ObservedProvider::new(provider, self.observers))
    }

    fn add_in_order(&mut self, name: &'a str, path: &mut Vec<&'a str>, diagnostics: &mut Vec<Diagnostic>) {
        if self.order.iter().any(|(placed, _)| *placed == name) {
            return;
        }
        let settings = self.settings;
        let at_source = ["accounts", name, "source"];
        if path.contains(&name) {
            let cycle = [path.as_slice(), &[name]].concat().join(" → ");
            let what = format!("leads back to itself: {cycle}; let one of them have another source");
            diagnostics.push(settings.diagnostic(&at_source, what));
            return;
        }
        if let Some(source) = settings.accounts[name].source() {
            if settings.accounts.contains_key(source) {
                path.push(name);
                self.add_in_order(source, path, diagnostics);
                path.pop();
            } else if !settings.contains_account(source) {
                diagnostics.push(settings.diagnostic(&at_source, settings.unknown_account_message(source)));
            }
        }
        match AccountName::parse("name", name) {
            Ok(alias) => self.order.push((name, alias)),
            Err(error) => diagnostics.push(settings.to_diagnostic(&["accounts", name], &error)),
        }
    }

    /// Returns the attribution for the role session of an account.
    fn attribution_for(&self, session: &SessionContext, alias: &AccountName) -> Attribution {
        let mut attribution = Attribution::for_session(session).account(alias.clone());
        // Over HTTP, each caller decides the principal.
        if let (Some(_), ClaimSource::Placeholder, None) =
            (&self.settings.http, self.claims, session.principal())
        {
            attribution =
                claims::placeholder_principal().into_iter().fold(attribution, Attribution::principal);
        }
        self.settings.session.agent.as_deref().into_iter().fold(attribution, Attribution::agent)
    }
}

/// The source of an account's credentials.
enum BuiltAccount {
    Provider(SharedProvider),
    KeyExchange(StsKeyExchange),
}

impl BuiltAccount {
    /// Returns only the provider, for an account on which no credentials are set.
    fn into_provider(self) -> SharedProvider {
        match self {
            Self::Provider(provider) => provider,
            Self::KeyExchange(guard) => guard.provider(),
        }
    }
}

/// Returns the region, or a default for an invalid one, which has already been reported, so that the rest can be
/// checked.
pub(super) fn region_or_default<E>(region: &Result<Option<Region>, E>) -> Option<Region> {
    region.as_ref().map_or_else(|_reported| Some(Region::us_east_1()), Option::clone)
}

/// The error of an account that needs the token of a caller, in a session without one.
async fn caller_missing() -> Result<Credentials> {
    let error = Error::new(ErrorKind::Denied, "the account needs the token of a caller of `serve --http`");
    Err(error.with_next_step("use another account"))
}

/// Returns an empty provider, which replaces an invalid source.
fn empty_provider() -> SharedProvider {
    Arc::new(MemoryProvider::new())
}
