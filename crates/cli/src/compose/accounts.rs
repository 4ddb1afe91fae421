//! The accounts of the settings, as providers: sources before what is got with them, and no cycles.

use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{AssumeRoleProvider, EnvProvider, MemoryProvider, SdkBase, SecretsManagerProvider};
use valetkey::{Alias, CredentialProvider, Error, Region, Result, RoleArn, SessionBuilder, SessionContext};

use crate::settings::{AccountSettings, Fault, RoleSettings, SecretSettings, Settings};

type Provider = Arc<dyn CredentialProvider>;

pub(super) struct Accounts<'a> {
    settings: &'a Settings,
    base: &'a SdkBase,
    /// The accounts that are sound, sources first.
    order: Vec<(&'a str, Alias)>,
}

impl<'a> Accounts<'a> {
    /// Orders the accounts and reports names that are none, unknown sources and cycles.
    pub(super) fn new(settings: &'a Settings, base: &'a SdkBase, faults: &mut Vec<Fault>) -> Self {
        let mut accounts = Self { settings, base, order: Vec::new() };
        for name in settings.accounts.keys() {
            accounts.place(name, &mut Vec::new(), faults);
        }
        if let Some(default) = &settings.session.default_account
            && !settings.accounts.contains_key(default)
        {
            faults.push(settings.fault("session", Some("default_account"), "is not one of the accounts"));
        }
        accounts
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
    /// what is set on it.
    pub(super) fn fill(&self, session: &SessionContext, faults: &mut Vec<Fault>) {
        for (name, alias) in &self.order {
            let account = &self.settings.accounts[*name];
            let region = account.region().map(str::parse::<Region>).transpose();
            let source =
                region.and_then(|_sound| account.source().map(|source| lent(session, source)).transpose());
            let made = source.and_then(|source| self.provider(account, source));
            if let Err(error) = made.and_then(|provider| session.set_provider_for(alias, provider)) {
                faults.push(self.settings.fault(
                    &format!("accounts.{name}"),
                    error.field(),
                    error.to_string(),
                ));
            }
        }
    }

    /// The provider of an account that is used beside any session, and whose sources are used likewise.
    pub(super) fn standing_alone(&self, name: &str, user: &str, faults: &mut Vec<Fault>) -> Option<Provider> {
        let made = self.alone(name, 0);
        made.map_err(|error| faults.push(self.settings.fault(user, Some("source"), error.to_string()))).ok()
    }

    fn alone(&self, name: &str, depth: usize) -> Result<Provider> {
        let unknown = || Error::invalid("source", "is not one of the accounts");
        let account =
            self.settings.accounts.get(name).filter(|_| depth <= self.order.len()).ok_or_else(unknown)?;
        let source = account.source().map(|source| self.alone(source, depth + 1)).transpose()?;
        self.provider(account, source)
    }

    fn place(&mut self, name: &'a str, path: &mut Vec<&'a str>, faults: &mut Vec<Fault>) {
        let section = format!("accounts.{name}");
        if self.order.iter().any(|(placed, _)| *placed == name) {
            return;
        }
        if path.contains(&name) {
            let cycle = [path.as_slice(), &[name]].concat().join(" → ");
            faults.push(self.settings.fault(
                &section,
                Some("source"),
                format!("leads back to itself: {cycle}"),
            ));
            return;
        }
        if let Some(source) = self.settings.accounts[name].source() {
            if !self.settings.accounts.contains_key(source) {
                faults.push(self.settings.fault(&section, Some("source"), "is not one of the accounts"));
                return;
            }
            path.push(name);
            self.place(source, path, faults);
            path.pop();
        }
        match name.parse() {
            Ok(alias) => self.order.push((name, alias)),
            Err(error) => faults.push(self.settings.fault(
                &section,
                None,
                format!("is not a name for an account: {error}"),
            )),
        }
    }

    fn provider(&self, account: &AccountSettings, source: Option<Provider>) -> Result<Provider> {
        let source = source.ok_or_else(|| Error::invalid("source", "is missing"));
        match account {
            AccountSettings::Memory { .. } => Ok(Arc::new(MemoryProvider::new())),
            AccountSettings::Environment { .. } => Ok(Arc::new(EnvProvider::from_process())),
            AccountSettings::AssumeRole(role) => Ok(Arc::new(self.role(role, source?)?)),
            AccountSettings::SecretsManager(secret) => Ok(Arc::new(self.secret(secret, source?)?)),
        }
    }

    fn role(&self, role: &RoleSettings, source: Provider) -> Result<AssumeRoleProvider> {
        let arn = RoleArn::parse("role_arn", &role.role_arn)?;
        let mut builder = AssumeRoleProvider::builder(arn, source).base(self.base);
        if let Some(region) = &role.region {
            builder = builder.region(region.parse()?);
        }
        if let Some(name) = &role.session_name {
            builder = builder.session_name(name);
        }
        if let Some(identity) = &role.source_identity {
            builder = builder.source_identity(identity);
        }
        if let Some(id) = &role.external_id {
            builder = builder.external_id(id);
        }
        if let Some(seconds) = role.duration_seconds {
            builder = builder.duration(Duration::from_secs(seconds));
        }
        if let Some(policy) = &role.policy {
            builder = builder.policy(policy);
        }
        builder = role.policy_arns.iter().fold(builder, |builder, arn| builder.policy_arn(arn));
        builder = role.tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
        builder = role.transitive_tags.iter().fold(builder, |builder, key| builder.transitive_tag(key));
        builder.build()
    }

    fn secret(&self, secret: &SecretSettings, source: Provider) -> Result<SecretsManagerProvider> {
        let mut builder = SecretsManagerProvider::builder(secret.secret_id.as_str(), source).base(self.base);
        if let Some(region) = &secret.region {
            builder = builder.region(region.parse()?);
        }
        if let Some(stage) = &secret.version_stage {
            builder = builder.version_stage(stage);
        }
        if let Some(id) = &secret.version_id {
            builder = builder.version_id(id);
        }
        builder.build()
    }
}

/// An account of the session itself, lent.
fn lent(session: &SessionContext, source: &str) -> Result<Provider> {
    Ok(Arc::new(session.account(&source.parse()?)?))
}
