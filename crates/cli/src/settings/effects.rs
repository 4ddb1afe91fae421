//! The effects of a settings file that can do harm if its author is not the user: programs, identities and files.

use super::{ProviderSettings, Settings};

impl Settings {
    /// Returns what the file makes a command do beyond the session itself, each as the end of a sentence about the
    /// file.
    pub(crate) fn host_effects(&self) -> Vec<String> {
        let accounts = self.accounts.iter().filter_map(|(name, account)| {
            let effect = account.provider.host_effect()?;
            let line = self.diagnostic(&["accounts", name], "").line.unwrap_or_default();
            Some(format!("{effect} for the account `{}` (line {line})", name.escape_debug()))
        });
        let audit = self.audit.iter().map(|_| {
            let line = self.diagnostic(&["audit", "file"], "").line.unwrap_or_default();
            format!("writes audit records to a file (line {line})")
        });
        let http = self.http.iter().map(|_| {
            let line = self.diagnostic(&["http"], "").line.unwrap_or_default();
            format!("names who may use the gateway over HTTP (line {line})")
        });
        let store = self.store.iter().map(|_| {
            let line = self.diagnostic(&["store"], "").line.unwrap_or_default();
            format!("names a store of sessions (line {line})")
        });
        let ops = self.ops.iter().map(|_| {
            let line = self.diagnostic(&["ops"], "").line.unwrap_or_default();
            format!("says who may read the state of a gateway (line {line})")
        });
        accounts.chain(audit).chain(http).chain(store).chain(ops).collect()
    }
}

impl ProviderSettings {
    /// Returns the effect of the provider on the host. An account with a source has no effect beyond that of its
    /// source.
    const fn host_effect(&self) -> Option<&'static str> {
        match self {
            Self::Process(_) => Some("runs a program"),
            Self::Environment(_) => Some("uses the AWS keys of this environment"),
            Self::DefaultChain(_) => Some("uses the AWS identity of this machine"),
            Self::Profile(_) => Some("uses a profile of your AWS files"),
            Self::WebIdentity(role) if role.token.is_some() => Some("sends the tokens of its callers to AWS"),
            Self::WebIdentity(_) => Some("sends an identity token from a file to AWS"),
            Self::Memory(_) | Self::AssumeRole(_) | Self::Federation(_) | Self::SecretsManager(_) => None,
        }
    }
}
