//! `Role`: a role with the parts of its ARN, and its trust policy.

use std::io;
use std::time::Duration;

use super::key_store::{CallerPrincipal, random_id};
use super::services::invalid_spec;
use super::spec::RoleSpec;

/// A role.
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) account: String,
    /// The last part of its path, as in the ARNs of its sessions.
    pub(super) name: String,
    pub(super) id: String,
    pub(super) max_session_duration: Duration,
    trusted_principals: Vec<String>,
    external_id: Option<String>,
}

impl TryFrom<RoleSpec> for Role {
    type Error = io::Error;

    fn try_from(spec: RoleSpec) -> io::Result<Self> {
        let (account, name) =
            parse_role_arn(&spec.arn).ok_or_else(|| invalid_spec(format!("not a role ARN: {}", spec.arn)))?;
        Ok(Self {
            account: account.to_owned(),
            name: name.to_owned(),
            id: random_id("AROA"),
            arn: spec.arn,
            max_session_duration: spec.max_session_duration,
            trusted_principals: spec.trusted_principals,
            external_id: spec.external_id,
        })
    }
}

impl Role {
    /// Whether the trust policy allows the caller: it names the caller, and the external id matches if the policy has
    /// one.
    pub(super) fn trusts(&self, caller: &CallerPrincipal, external_id: Option<&str>) -> bool {
        let own_role = caller.session.as_ref().map(|session| session.role_arn.as_str());
        let named = self.trusted_principals.iter().any(|trusted| {
            *trusted == caller.account || *trusted == caller.arn || Some(trusted.as_str()) == own_role
        });
        named && (self.external_id.is_none() || self.external_id.as_deref() == external_id)
    }
}

fn parse_role_arn(arn: &str) -> Option<(&str, &str)> {
    let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some((account, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_caller(account: &str, name: &str) -> CallerPrincipal {
        let arn = format!("arn:aws:iam::{account}:user/{name}");
        CallerPrincipal { account: account.into(), arn, user_id: "AIDA".into(), session: None }
    }

    #[test]
    fn parse_role_arn_with_path_returns_last_part() {
        assert_eq!(
            parse_role_arn("arn:aws:iam::111111111111:role/team/agent"),
            Some(("111111111111", "agent"))
        );
        for wrong in [
            "",
            "arn:aws:iam::111111111111:user/a",
            "arn:aws:iam::1:role/a",
            "arn:aws:iam::111111111111:role/",
        ] {
            assert!(parse_role_arn(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn role_trusts_principal_with_external_id() -> io::Result<()> {
        let arn = "arn:aws:iam::111111111111:role/agent";
        let role = Role::try_from(RoleSpec::new(arn).trusts("999999999999").external_id("right"))?;
        assert!(role.trusts(&user_caller("999999999999", "broker"), Some("right")));
        assert!(!role.trusts(&user_caller("999999999999", "broker"), Some("wrong")));
        assert!(!role.trusts(&user_caller("999999999999", "broker"), None));
        assert!(!role.trusts(&user_caller("222222222222", "broker"), Some("right")));
        let one = Role::try_from(RoleSpec::new(arn).trusts("arn:aws:iam::999999999999:user/broker"))?;
        assert!(one.trusts(&user_caller("999999999999", "broker"), None));
        assert!(!one.trusts(&user_caller("999999999999", "other"), None));
        Ok(())
    }
}
