//! `Accounts`: the accounts that replace the profiles, regions and keys of a client's file.

/// The source of an account's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Profile(String),
    /// Keys that the client passes in the environment of valetkey.
    Environment,
    /// The default chain of the AWS SDKs, as a server without a profile uses it.
    DefaultChain,
}

/// The source and the region of an account. Servers with the same ones share the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountKey {
    pub(super) source: Source,
    pub(super) region: Option<String>,
}

/// The accounts, in the order in which servers use them.
#[derive(Debug, Default)]
pub(super) struct Accounts(Vec<(String, AccountKey)>);

/// The longest alias.
const MAX_ALIAS_LEN: usize = 64;

impl Accounts {
    /// Returns the aliases and the accounts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(String, AccountKey)> {
        self.0.iter()
    }

    /// Returns the alias of the account of calls that name none.
    pub(super) fn default_alias(&self) -> Option<&str> {
        let default = self.0.iter().find(|(alias, _)| alias == "default").or(self.0.first());
        default.map(|(alias, _)| alias.as_str())
    }

    /// Returns the alias of an account, which is added if it is missing.
    pub(super) fn alias(&mut self, key: AccountKey) -> String {
        if let Some((alias, _)) = self.0.iter().find(|(_, other)| *other == key) {
            return alias.clone();
        }
        let base = match &key.source {
            Source::Profile(name) => alias_text(name),
            Source::Environment => "environment".to_owned(),
            Source::DefaultChain => "default".to_owned(),
        };
        let with_region = key.region.iter().map(|region| shortened(&base, &format!("-{region}")));
        let numbered = (2..).map(|number: usize| shortened(&base, &format!("-{number}")));
        let candidates = std::iter::once(base.clone()).chain(with_region).chain(numbered);
        let is_free = |alias: &String| self.0.iter().all(|(other, _)| other != alias);
        let alias = candidates.into_iter().find(is_free).unwrap_or(base.clone());
        self.0.push((alias.clone(), key));
        alias
    }
}

/// Replaces the characters of a profile that an alias cannot have.
fn alias_text(profile: &str) -> String {
    let text: String =
        profile.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let text = text.trim_matches('-');
    if text.is_empty() { "profile".to_owned() } else { shortened(text, "") }
}

fn shortened(base: &str, suffix: &str) -> String {
    let length = MAX_ALIAS_LEN.saturating_sub(suffix.len()).min(base.len());
    format!("{}{suffix}", &base[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alias_of_same_account_is_shared() {
        let mut accounts = Accounts::default();
        let key = |profile: &str, region: &str| AccountKey {
            source: Source::Profile(profile.to_owned()),
            region: Some(region.to_owned()),
        };
        for (profile, region, expected) in [
            ("team/dev", "eu-central-1", "team-dev"),
            ("team/dev", "eu-central-1", "team-dev"),
            ("team/dev", "us-east-1", "team-dev-us-east-1"),
            ("team dev", "us-east-1", "team-dev-2"),
            ("ü", "us-east-1", "profile"),
        ] {
            assert_eq!(accounts.alias(key(profile, region)), expected, "{profile}");
        }
        assert!(accounts.alias(key(&"x".repeat(90), "us-east-1")).len() == 64);
        assert_eq!(accounts.default_alias(), Some("team-dev"));
    }
}
