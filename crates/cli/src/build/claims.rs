//! `{claim:NAME}` in the settings of a role: the value of a claim of the caller's token.
//!
//! A claim is input from outside, so it is checked before it becomes a part of a name, a tag or an ARN. A claim that is
//! missing or not allowed is an error: the account is never used without it.

use std::collections::BTreeSet;

use valetkey::mcp::http::VerifiedCaller;
use valetkey::{Error, Principal, Result};

use crate::settings::{AccountSettings, ProviderSettings, Settings};

/// The value of every claim when the settings are only checked. It is allowed everywhere, also as an account id.
const PLACEHOLDER: &str = "000000000000";

/// The source of the values of claims.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ClaimSource<'a> {
    /// The settings are only checked, with a placeholder for each claim.
    Placeholder,
    /// The session acts for no caller with a token.
    Absent,
    /// The caller of the gateway over HTTP.
    Caller(&'a VerifiedCaller),
}

/// The place of a claim, which decides what its value may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimPlace {
    /// The name of a role session, a source identity or a part of an ARN.
    Name,
    /// The value of a session tag.
    Tag,
}

impl ClaimPlace {
    /// Whether AWS accepts the value (STS `AssumeRole`: `RoleSessionName`, `Tag`).
    fn allows(self, value: &str) -> bool {
        let length = value.chars().count();
        match self {
            Self::Name => {
                let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
                (2..=64).contains(&length) && value.bytes().all(is_allowed)
            }
            Self::Tag => {
                let is_allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
                (1..=256).contains(&length) && value.chars().all(is_allowed)
            }
        }
    }
}

impl ClaimSource<'_> {
    /// Replaces each `{claim:NAME}` in the text of a field. Other placeholders remain.
    pub(super) fn fill(self, field: &'static str, text: &str, place: ClaimPlace) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{claim:") {
            let Some((name, after)) = after.split_once('}').filter(|(name, _)| !name.is_empty()) else {
                return Err(Error::invalid(field, "contains `{claim:` without a name and `}`"));
            };
            filled.push_str(before);
            filled.push_str(&self.value(field, name, place)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(self, field: &'static str, name: &str, place: ClaimPlace) -> Result<String> {
        let value = match self {
            Self::Placeholder => Some(PLACEHOLDER),
            Self::Absent => None,
            Self::Caller(caller) => caller.claim(name),
        };
        let error = |what: &str| Error::invalid(field, format!("contains `{{claim:{name}}}`, {what}"));
        match value {
            None => Err(error("which only the token of a caller of `serve --http` can have")),
            Some(value) if !place.allows(value) => Err(error(
                "whose value in the caller's token is too long, or has characters that AWS refuses",
            )),
            Some(value) => Ok(value.to_owned()),
        }
    }
}

/// Returns the principal of a session that is only checked, and whose principal its caller decides.
pub(super) fn placeholder_principal() -> Option<Principal> {
    PLACEHOLDER.parse().ok()
}

/// Returns the claims that the settings of the accounts contain.
pub(crate) fn used_claims<'a>(accounts: impl Iterator<Item = &'a AccountSettings>) -> BTreeSet<&'a str> {
    accounts.flat_map(|account| account_templates(account).into_iter().flat_map(names_in)).collect()
}

/// Whether the settings of the account contain a claim, or use the caller's token.
pub(super) fn depends_on_caller(account: &AccountSettings) -> bool {
    account.uses_caller_token()
        || account_templates(account).into_iter().any(|text| names_in(text).next().is_some())
}

/// Whether credentials of the account can be fetched only for a caller of the gateway over HTTP.
pub(crate) fn is_decided_by_caller(settings: &Settings, account: &AccountSettings) -> bool {
    let names_principal = || account_templates(account).into_iter().any(|text| text.contains("{principal}"));
    depends_on_caller(account) || (settings.session.principal.is_none() && names_principal())
}

/// Returns the texts of an account in which claims are replaced.
fn account_templates(account: &AccountSettings) -> Vec<&str> {
    match &account.provider {
        ProviderSettings::AssumeRole(role) => {
            let names = [&role.session_name, &role.source_identity].into_iter().flatten();
            let texts = [&role.role_arn].into_iter().chain(names).chain(role.tags.values());
            texts.map(String::as_str).collect()
        }
        ProviderSettings::WebIdentity(role) => {
            [&role.role_arn].into_iter().chain(&role.session_name).map(String::as_str).collect()
        }
        _ => Vec::new(),
    }
}

fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("{claim:").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(value: &str, place: ClaimPlace) -> Result<String> {
        let caller = VerifiedCaller::new("00u1@okta".parse().unwrap()).with_claim("/team/name", value);
        ClaimSource::Caller(&caller).fill("session_name", "vk-{claim:/team/name}-{account}", place)
    }

    #[test]
    fn claim_in_name_is_2_to_64_of_its_characters() {
        let long = "x".repeat(64);
        for value in ["ab", "alice@example.com", "A_+=,.@-9", long.as_str()] {
            assert_eq!(fill(value, ClaimPlace::Name).unwrap(), format!("vk-{value}-{{account}}"));
        }
        let longer = "x".repeat(65);
        for value in
            ["", "a", "a b", "a/b", "a:b", "{principal}", "a}b", "ä-ä", "a\nb", "a*", longer.as_str()]
        {
            let error = fill(value, ClaimPlace::Name).unwrap_err();
            assert_eq!(error.field(), Some("session_name"), "{value}");
            assert!(value.len() < 2 || !error.to_string().contains(value), "{error}");
        }
    }

    #[test]
    fn claim_in_tag_is_1_to_256_of_its_characters() {
        let long = "x".repeat(256);
        for value in ["a", "Zoë Müller", "team/a:b", "a@b.c", long.as_str()] {
            assert!(fill(value, ClaimPlace::Tag).is_ok(), "{value}");
        }
        let longer = "x".repeat(257);
        for value in ["", "a\tb", "a,b", "{account}", "a*", longer.as_str()] {
            assert!(fill(value, ClaimPlace::Tag).is_err(), "{value}");
        }
    }

    #[test]
    fn claim_that_is_missing_or_malformed_fails() {
        let caller = VerifiedCaller::new("00u1@okta".parse().unwrap());
        for (source, text) in [
            (ClaimSource::Caller(&caller), "{claim:email}"),
            (ClaimSource::Absent, "{claim:email}"),
            (ClaimSource::Placeholder, "{claim:}"),
            (ClaimSource::Placeholder, "{claim:email"),
        ] {
            assert!(source.fill("role_arn", text, ClaimPlace::Name).is_err(), "{text}");
        }
        let arn = "arn:aws:iam::{claim:account}:role/{claim:team}";
        let filled = ClaimSource::Placeholder.fill("role_arn", arn, ClaimPlace::Name).unwrap();
        assert_eq!(filled, "arn:aws:iam::000000000000:role/000000000000");
    }
}
