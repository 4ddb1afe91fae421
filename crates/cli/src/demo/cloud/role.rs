//! Roles: what an ARN says about one, and who may assume it.

use std::io;
use std::time::Duration;

use super::identity::{Principal, minted_id};
use super::impossible;
use super::plan::RolePlan;

/// A role that can be assumed.
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) account: String,
    /// The last part of its path, which is what session ARNs show.
    pub(super) name: String,
    pub(super) id: String,
    pub(super) max_session: Duration,
    trusted: Vec<String>,
    external_id: Option<String>,
}

impl TryFrom<RolePlan> for Role {
    type Error = io::Error;

    fn try_from(plan: RolePlan) -> io::Result<Self> {
        let (account, name) =
            parts(&plan.arn).ok_or_else(|| impossible(format!("not a role ARN: {}", plan.arn)))?;
        Ok(Self {
            account: account.to_owned(),
            name: name.to_owned(),
            id: minted_id("AROA"),
            arn: plan.arn,
            max_session: plan.max_session,
            trusted: plan.trusted,
            external_id: plan.external_id,
        })
    }
}

impl Role {
    /// Both halves of the trust policy: the principal is named in it, and knows the external id if there is one.
    pub(super) fn admits(&self, caller: &Principal, external_id: Option<&str>) -> bool {
        let own_role = caller.session.as_ref().map(|session| session.role_arn.as_str());
        let named = self.trusted.iter().any(|trusted| {
            *trusted == caller.account || *trusted == caller.arn || Some(trusted.as_str()) == own_role
        });
        named && (self.external_id.is_none() || self.external_id.as_deref() == external_id)
    }
}

fn parts(arn: &str) -> Option<(&str, &str)> {
    let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some((account, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(account: &str, name: &str) -> Principal {
        let arn = format!("arn:aws:iam::{account}:user/{name}");
        Principal { account: account.into(), arn, user_id: "AIDA".into(), session: None }
    }

    #[test]
    fn a_path_is_no_part_of_the_name_and_a_user_is_no_role() {
        assert_eq!(parts("arn:aws:iam::111111111111:role/team/agent"), Some(("111111111111", "agent")));
        for wrong in [
            "",
            "arn:aws:iam::111111111111:user/a",
            "arn:aws:iam::1:role/a",
            "arn:aws:iam::111111111111:role/",
        ] {
            assert!(parts(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn trust_needs_the_right_principal_and_the_right_external_id() -> io::Result<()> {
        let arn = "arn:aws:iam::111111111111:role/agent";
        let role = Role::try_from(RolePlan::new(arn).trusts("999999999999").external_id("right"))?;
        assert!(role.admits(&user("999999999999", "broker"), Some("right")));
        assert!(!role.admits(&user("999999999999", "broker"), Some("wrong")));
        assert!(!role.admits(&user("999999999999", "broker"), None));
        assert!(!role.admits(&user("222222222222", "broker"), Some("right")));
        let one = Role::try_from(RolePlan::new(arn).trusts("arn:aws:iam::999999999999:user/broker"))?;
        assert!(one.admits(&user("999999999999", "broker"), None));
        assert!(!one.admits(&user("999999999999", "other"), None));
        Ok(())
    }
}
