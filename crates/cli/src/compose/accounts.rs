//! The accounts of the settings, as providers: sources before what is got with them, and no cycles.

use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{EnvProvider, MemoryProvider, SdkBase, SecretsManagerProvider};
use valetkey::{
    Alias, Attribution, CredentialProvider, Error, Region, Result, SessionBuilder, SessionContext,
};

use super::role;
use crate::settings::{AccountSettings, Fault, SecretSettings, Settings};

type Provider = Arc<dyn CredentialProvider>;

pub(super) const NOT_ALLOWED: &str =
    "is not one of the `allowed_accounts` of the session; add it there or name another";
const NOBODY_SETS: &str = "leads past the session to an account of provider `memory`, on which nothing can be set; add it \
                           to `allowed_accounts`";

pub(super) struct Accounts<'a> {
    settings: &'a Settings,
    base: &'a SdkBase,
    /// Every account that has a name, sources first.
    order: Vec<(&'a str, Alias)>,
}

impl<'a> Accounts<'a> {
    /// Orders the accounts and reports names that are none, unknown sources and cycles.
    pub(super) fn new(settings: &'a Settings, base: &'a SdkBase, faults: &mut Vec<Fault>) -> Self {
        let mut accounts = Self { settings, base, order: Vec::new() };
        for name in settings.accounts.keys() {
            accounts.place(name, &mut Vec::new(), faults);
        }
        if let Some(default) = &settings.session.default_account {
            let at_default = ["session", "default_account"];
            if !settings.has_account(default) {
                faults.push(settings.fault(&at_default, settings.unknown_account()));
            } else if !settings.allows(default) {
                faults.push(settings.fault(&at_default, NOT_ALLOWED));
            }
        }
        accounts.check_allowed(faults);
        accounts
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
        let allowed = self.settings.session.allowed_accounts.as_ref()?;
        Some(allowed.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The account that is meant when none is named: as set, else `default`, else the only one.
    pub(super) fn default_alias(&self) -> Alias {
        let named = self.settings.session.default_account.as_deref();
        let only = || match self.order.as_slice() {
            [(name, _)] => Some(*name),
            _ => None,
        };
        let default = named
            .or_else(|| self.settings.accounts.contains_key("default").then_some("default"))
            .or_else(only);
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
            let account = &self.settings.accounts[*name];
            let who = self.attribution(session, alias);
            let source = match account.source() {
                Some(hidden) if !self.settings.allows(hidden) => self.hidden(hidden, name, &who, faults),
                source => source.and_then(lent).unwrap_or_else(nobody),
            };
            let set =
                self.provider(account, &source, &who).and_then(|provider| match self.settings.allows(name) {
                    true => session.set_provider_for(alias, provider).map_err(|error| vec![error]),
                    false => Ok(()),
                });
            let wrong = set.err().unwrap_or_default();
            faults.extend(wrong.iter().map(|error| self.settings.told(&["accounts", name], error)));
        }
    }

    /// A source that the session may not have. Nothing of it is kept between two uses, so a clear leaves nothing behind.
    fn hidden(&self, source: &str, name: &str, who: &Attribution, faults: &mut Vec<Fault>) -> Provider {
        if let Some(AccountSettings::Memory { .. }) = self.root(source) {
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
            Some(AccountSettings::Memory { .. }) => told(
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

    /// Only for accounts that have a root.
    fn alone(&self, name: &str, who: &Attribution) -> Option<Provider> {
        let account = self.settings.accounts.get(name)?;
        let source = account.source().and_then(|source| self.alone(source, who)).unwrap_or_else(nobody);
        let who = who.clone().account(name.parse().ok()?);
        self.provider(account, &source, &who).ok()
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

    fn provider(
        &self,
        account: &AccountSettings,
        source: &Provider,
        attribution: &Attribution,
    ) -> Result<Provider, Vec<Error>> {
        match account {
            AccountSettings::Memory { region } => {
                checked(region.as_deref()).map(|_| Arc::new(MemoryProvider::new()) as Provider)
            }
            AccountSettings::Environment { region } => {
                checked(region.as_deref()).map(|_| Arc::new(EnvProvider::from_process()) as Provider)
            }
            AccountSettings::AssumeRole(role) => {
                let usual = self.settings.session.attribution;
                Ok(Arc::new(role::provider(role, source, self.base, usual, attribution)?))
            }
            AccountSettings::SecretsManager(secret) => Ok(Arc::new(self.secret(secret, source)?)),
        }
    }

    /// Who the role session of an account is attributed to.
    fn attribution(&self, session: &SessionContext, alias: &Alias) -> Attribution {
        let who = Attribution::of(session).account(alias.clone());
        self.settings.session.agent.as_deref().into_iter().fold(who, Attribution::agent)
    }

    fn secret(
        &self,
        secret: &SecretSettings,
        source: &Provider,
    ) -> Result<SecretsManagerProvider, Vec<Error>> {
        let source = Arc::clone(source);
        let mut builder = SecretsManagerProvider::builder(secret.secret_id.as_str(), source).base(self.base);
        let region = checked(secret.region.as_deref());
        if let Some(region) = or_any(&region) {
            builder = builder.region(region);
        }
        if let Some(stage) = &secret.version_stage {
            builder = builder.version_stage(stage);
        }
        if let Some(id) = &secret.version_id {
            builder = builder.version_id(id);
        }
        if let Some(seconds) = secret.ttl_seconds {
            builder = builder.ttl(Duration::from_secs(seconds));
        }
        match (builder.build(), region) {
            (Ok(provider), Ok(_)) => Ok(provider),
            (made, region) => Err(region.err().into_iter().flatten().chain(made.err()).collect()),
        }
    }
}

/// A region that is none has been told; the rest is checked in some other.
pub(super) fn or_any<E>(region: &Result<Option<Region>, E>) -> Option<Region> {
    region.as_ref().map_or_else(|_told| Some(Region::us_east_1()), Option::clone)
}

fn checked(region: Option<&str>) -> Result<Option<Region>, Vec<Error>> {
    region.map(str::parse).transpose().map_err(|error| vec![error])
}

/// Stands in for a source that is at fault.
fn nobody() -> Provider {
    Arc::new(MemoryProvider::new())
}
