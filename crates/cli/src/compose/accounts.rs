//! The accounts of the settings, as providers: sources before what is got with them, and no cycles.

use std::sync::Arc;

use valetkey::backends::{FederationGuard, MemoryProvider, SdkBase};
use valetkey::{
    AccountGuard, Alias, Attribution, CredentialObservers, Error, ObservedProvider, Region, Result,
    SessionBuilder, SessionContext,
};

use super::exchange;
use super::provider::{Around, Provider, provider};
use crate::settings::{AccountSettings, Fault, ProviderSettings, Settings};
use crate::terminal::Terminal;

pub(super) const NOT_ALLOWED: &str =
    "is not one of the `allowed_accounts` of the session; add it there or name another";
pub(super) const NOT_THE_PRINCIPALS: &str =
    "is not one of the `accounts` of the session's principal; add it there or name another";
const FEDERATED: &str = "leads to a federated user, who may not assume roles; take name and policies out there, and put \
                         the policies on the role";
const TEMPORARY: &str = "leads to temporary credentials, which STS does not exchange; name one that has long-lived keys, \
                         or use that account as it is";
const NOBODY_SETS: &str = "leads past the session to an account of provider `memory`, on which nothing can be set; add it \
                           to `allowed_accounts`";

pub(super) struct Accounts<'a> {
    settings: &'a Settings,
    base: &'a SdkBase,
    terminal: &'a Terminal,
    /// Those who learn of what no account of the session publishes.
    observers: &'a CredentialObservers,
    /// Every account that has a name, sources first.
    order: Vec<(&'a str, Alias)>,
}

impl<'a> Accounts<'a> {
    /// Orders the accounts and reports names that are none, unknown sources and cycles.
    pub(super) fn new(
        settings: &'a Settings,
        base: &'a SdkBase,
        terminal: &'a Terminal,
        observers: &'a CredentialObservers,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut accounts = Self { settings, base, terminal, observers, order: Vec::new() };
        for name in settings.accounts.keys() {
            accounts.place(name, &mut Vec::new(), faults);
        }
        if let Some(default) = &settings.session.default_account {
            let at_default = ["session", "default_account"];
            if !settings.has_account(default) {
                faults.push(settings.fault(&at_default, settings.unknown_account()));
            } else if !settings.allows_any(default) {
                faults.push(settings.fault(&at_default, NOT_ALLOWED));
            }
        }
        accounts.check_allowed(faults);
        accounts.order.iter().for_each(|(name, _)| accounts.check_source(name, faults));
        accounts
    }

    /// What a source must not be, though it is one of the accounts.
    fn check_source(&self, name: &str, faults: &mut Vec<Fault>) {
        let account = &self.settings.accounts[name];
        let Some(source) = account.source().and_then(|source| self.settings.accounts.get(source)) else {
            return;
        };
        let wrong = match account.provider {
            ProviderSettings::AssumeRole(_) if source.is_federated_user() => FEDERATED,
            ProviderSettings::Federation(_) if source.is_temporary() => TEMPORARY,
            _ => return,
        };
        faults.push(self.settings.fault(&["accounts", name, "source"], wrong));
    }

    fn check_allowed(&self, faults: &mut Vec<Fault>) {
        let at_list = ["session", "allowed_accounts"];
        match &self.settings.session.allowed_accounts {
            Some(allowed) if allowed.is_empty() => {
                faults.push(
                    self.settings.fault(&at_list, "must name one account at least; leave it out for all"),
                );
            }
            Some(allowed) if !allowed.iter().all(|name| self.settings.has_account(name)) => {
                let what = self.settings.unknown_account().replacen("is not", "holds what is not", 1);
                faults.push(self.settings.fault(&at_list, what));
            }
            _ => {}
        }
    }

    /// The accounts that the session has, if not all.
    pub(super) fn allowed(&self) -> Option<Vec<Alias>> {
        let settings = self.settings;
        let listed = settings.of_principal().or(settings.session.allowed_accounts.as_deref());
        // Keys that are set on an account of nobody's making would go round the guards of the others.
        let guarded = settings.accounts.values().any(|account| account.exchange.is_some());
        let named = || self.order.iter().map(|(_, alias)| alias.clone()).collect();
        // Without a default, the session would otherwise have an account `default` that the file does not have.
        let undecided = !self.order.is_empty() && settings.default_account().is_none();
        let Some(listed) = listed else { return (guarded || undecided).then(named) };
        let allowed = listed.iter().filter(|name| settings.allows(name));
        Some(allowed.filter_map(|name| name.parse().ok()).collect())
    }

    /// The account that is meant when none is named. Where there is a choice to make, commands that need one report it.
    pub(super) fn default_alias(&self) -> Alias {
        let default = self.settings.default_account();
        default.and_then(|name| name.parse().ok()).unwrap_or_else(Alias::default_account)
    }

    /// The region of each account that names one. A region that is none is reported by [`fill`](Self::fill).
    pub(super) fn regions(&self, builder: SessionBuilder) -> SessionBuilder {
        let regions = self.order.iter().filter_map(|(name, alias)| {
            let region: Region = self.settings.accounts[*name].region()?.parse().ok()?;
            Some((alias.clone(), region))
        });
        regions.fold(builder, |builder, (alias, region)| builder.region_for(alias, region))
    }

    /// Gives the session its providers. Each source is the session's own account, so that it is cached and follows
    /// what is set on it; one that the session may not have is used beside it. Where a source is at fault, the rest of
    /// the account is checked without it.
    pub(super) fn fill(&self, session: &SessionContext, faults: &mut Vec<Fault>) {
        let lent = |source: &str| Some(Arc::new(session.account(&source.parse().ok()?).ok()?) as Provider);
        for (name, alias) in &self.order {
            let who = self.attribution(session, alias);
            let source = match self.settings.accounts[*name].source() {
                Some(hidden) if !self.settings.allows(hidden) => self.hidden(hidden, name, &who, faults),
                source => source.and_then(lent).unwrap_or_else(nobody),
            };
            match self.make(name, source, who) {
                Ok(made) if self.settings.allows(name) => {
                    let refused = match made {
                        Made::Plain(provider) => session.set_provider_for(alias, provider).err(),
                        Made::Guarded(guard) => session.set_guard_for(alias, guard).err(),
                    };
                    faults.extend(refused.map(|error| self.settings.told(&["accounts", name], &error)));
                }
                Ok(_) => {}
                Err(wrong) => faults.extend(wrong),
            }
        }
    }

    /// The provider of an account, with its guard if it has one.
    fn make(&self, name: &str, source: Provider, who: Attribution) -> Result<Made, Vec<Fault>> {
        let account = &self.settings.accounts[name];
        let told = |section: &[&str], wrong: Vec<Error>| -> Vec<Fault> {
            wrong.iter().map(|error| self.settings.told(section, error)).collect()
        };
        let chained = account.source().and_then(|source| self.settings.accounts.get(source));
        let chained = chained.is_some_and(AccountSettings::is_temporary);
        let (base, terminal) = (self.base, self.terminal);
        let attribution = self.settings.session.attribution;
        let folder = self.settings.folder();
        let around = Around { name, base, source, chained, who, attribution, terminal, folder };
        let own = provider(&account.provider, &around).map_err(|wrong| told(&["accounts", name], wrong));
        let Some(wanted) = &account.exchange else { return own.map(Made::Plain) };
        // Nobody names a region for STS here but the account.
        let region: Option<Region> = account.region().and_then(|region| region.parse().ok());
        let base = region.iter().fold(self.base.clone(), SdkBase::region);
        let guarding = |own: Provider| {
            let guard = exchange::guard(wanted, own, &Around { base: &base, ..around.clone() });
            guard.map_err(|wrong| told(&["accounts", name, "exchange"], wrong))
        };
        match own {
            // The long-lived keys are never served, but a server that finds them must not show them either.
            Ok(own) => guarding(self.observed(own)).map(Made::Guarded),
            Err(wrong) => Err([wrong, guarding(nobody()).err().unwrap_or_default()].concat()),
        }
    }

    /// A source that the session may not have. Nothing of it is kept between two uses, so a clear leaves nothing behind.
    fn hidden(&self, source: &str, name: &str, who: &Attribution, faults: &mut Vec<Fault>) -> Provider {
        if self.root(source).is_some_and(AccountSettings::is_memory) {
            faults.push(self.settings.fault(&["accounts", name, "source"], NOBODY_SETS));
        }
        self.root(source).and_then(|_sound| self.alone(source, who)).unwrap_or_else(nobody)
    }

    /// An account that is used beside the session, and whose sources are used likewise: in a session of its own, which
    /// caches what it got.
    pub(super) fn standing_alone(&self, name: &str, faults: &mut Vec<Fault>) -> Provider {
        let settings = self.settings;
        let mut told = |what: String| faults.push(settings.fault(&["resolver", "source"], what));
        if !settings.has_account(name) {
            told(settings.unknown_account());
        }
        match self.root(name) {
            Some(root) if root.is_memory() => told(
                "leads to an account of provider `memory`, which holds nothing before the first secret is read; \
                 name one that leads to `environment`"
                    .to_owned(),
            ),
            Some(_) => {
                let builder = SessionContext::builder();
                let who = Attribution::new().session(builder.id());
                return Arc::new(builder.provider(self.alone(name, &who).unwrap_or_else(nobody)).build());
            }
            // Told where it is.
            None => {}
        }
        nobody()
    }

    /// The account at the end of the sources, unless something on the way there is at fault.
    fn root(&self, name: &str) -> Option<&'a AccountSettings> {
        let mut account = self.settings.accounts.get(name)?;
        for _ in &self.settings.accounts {
            match account.source() {
                None => return Some(account),
                Some(source) => account = self.settings.accounts.get(source)?,
            }
        }
        None
    }

    /// Only for accounts that have a root. What is wrong with them is told by [`fill`](Self::fill).
    fn alone(&self, name: &str, who: &Attribution) -> Option<Provider> {
        let account = self.settings.accounts.get(name)?;
        let source = account.source().and_then(|source| self.alone(source, who)).unwrap_or_else(nobody);
        let made = self.make(name, source, who.clone().account(name.parse().ok()?));
        made.ok().map(|made| self.observed(made.into_provider()))
    }

    fn observed(&self, provider: Provider) -> Provider {
        Arc::new(ObservedProvider::new(provider, self.observers))
    }

    fn place(&mut self, name: &'a str, path: &mut Vec<&'a str>, faults: &mut Vec<Fault>) {
        if self.order.iter().any(|(placed, _)| *placed == name) {
            return;
        }
        let settings = self.settings;
        let at_source = ["accounts", name, "source"];
        if path.contains(&name) {
            let cycle = [path.as_slice(), &[name]].concat().join(" → ");
            let what = format!("leads back to itself: {cycle}; let one of them have another source");
            faults.push(settings.fault(&at_source, what));
            return;
        }
        if let Some(source) = settings.accounts[name].source() {
            if settings.accounts.contains_key(source) {
                path.push(name);
                self.place(source, path, faults);
                path.pop();
            } else if !settings.has_account(source) {
                faults.push(settings.fault(&at_source, settings.unknown_account()));
            }
        }
        match Alias::parse("name", name) {
            Ok(alias) => self.order.push((name, alias)),
            Err(error) => faults.push(settings.told(&["accounts", name], &error)),
        }
    }

    /// Who the role session of an account is attributed to.
    fn attribution(&self, session: &SessionContext, alias: &Alias) -> Attribution {
        let who = Attribution::of(session).account(alias.clone());
        self.settings.session.agent.as_deref().into_iter().fold(who, Attribution::agent)
    }
}

/// What an account gets its credentials from.
enum Made {
    Plain(Provider),
    Guarded(FederationGuard),
}

impl Made {
    /// The provider alone, for an account on which nothing is set.
    fn into_provider(self) -> Provider {
        match self {
            Self::Plain(provider) => provider,
            Self::Guarded(guard) => guard.provider(),
        }
    }
}

/// A region that is none has been told; the rest is checked in some other.
pub(super) fn or_any<E>(region: &Result<Option<Region>, E>) -> Option<Region> {
    region.as_ref().map_or_else(|_told| Some(Region::us_east_1()), Option::clone)
}

/// Stands in for a source that is at fault.
fn nobody() -> Provider {
    Arc::new(MemoryProvider::new())
}
