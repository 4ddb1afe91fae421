//! `RevocationPolicy`: an IAM policy that revokes credentials already issued.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};

use crate::attribution::{SESSION_TAG, is_session_name};
use crate::expiry::rfc3339;
use crate::{Error, Result, SessionId};

/// An IAM policy that denies every request made with credentials that were issued before an instant. An administrator
/// attaches it to the role (to the IAM user, for federated users) as an inline policy; AWS then refuses copies of
/// those credentials from their next request on. Clearing and closing a session cannot do that.
///
/// The instant is compared with the time of issue by AWS's clock (`aws:TokenIssueTime`), which counts in whole
/// seconds. It is rounded up, so that credentials issued just before it are denied as well. The policy does not deny
/// long-lived keys, which have no such time, nor roles that were assumed with the denied credentials: these need a
/// policy of their own.
///
/// # Examples
/// ```
/// # use std::time::SystemTime;
/// # use valetkey_core::{RevocationPolicy, SessionContext};
/// # fn demo(session: &SessionContext, now: SystemTime) {
/// if !session.close().is_empty() {
///     println!("{:#}", RevocationPolicy::of_session(session.id(), now));
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPolicy {
    whose: Whose,
    before: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    Session(SessionId),
    Name(String),
    Everybodys,
}

impl RevocationPolicy {
    /// Revokes only the credentials of one session: those with its [tag](crate::Attribution::tags), with its id in the
    /// name of the role session, or with its id as the name of the federated user. Credentials without any of these,
    /// because their provider has no [`Attribution`](crate::Attribution), are not revoked.
    #[must_use]
    pub fn of_session(session: SessionId, before: SystemTime) -> Self {
        Self { whose: Whose::Session(session), before }
    }

    /// Revokes all sessions of the role that have this name, including those that other programs opened under it.
    ///
    /// # Errors
    /// `Invalid` unless `name` is a valid role session name: 2–64 of `A-Z a-z 0-9 _ + = , . @ -`.
    pub fn of_session_name(name: &str, before: SystemTime) -> Result<Self> {
        if is_session_name(name) {
            return Ok(Self { whose: Whose::Name(name.to_owned()), before });
        }
        Err(Error::invalid("session_name", "must be 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`"))
    }

    /// Revokes all sessions of the role.
    #[must_use]
    pub fn of_everybody(before: SystemTime) -> Self {
        Self { whose: Whose::Everybodys, before }
    }

    /// Describes which sessions of the role are revoked, since these may be more than the intended one.
    #[must_use]
    pub fn reach(&self) -> &'static str {
        match self.whose {
            Whose::Session(_) => {
                "the sets of this session, as far as they carry its tag or its id in their name"
            }
            Whose::Name(_) => "every session of the role that has this name, whoever uses it",
            Whose::Everybodys => "every session of the role, whoever uses it",
        }
    }

    fn document(&self) -> Document {
        let statements = match &self.whose {
            Whose::Session(session) => {
                let tag = format!("aws:PrincipalTag/{SESSION_TAG}");
                // A template may have put any text around the id.
                let names = json!([format!("*:*{session}*"), format!("*:{}", session.compact())]);
                vec![
                    self.statement(Some(("StringEquals", &tag, session.to_string().into()))),
                    self.statement(Some(("StringLike", USER_ID, names))),
                ]
            }
            Whose::Name(name) => {
                vec![self.statement(Some(("StringLike", USER_ID, format!("*:{name}").into())))]
            }
            Whose::Everybodys => vec![self.statement(None)],
        };
        Document { version: "2012-10-17", statement: statements }
    }

    fn statement(&self, only: Option<(&str, &str, Value)>) -> Statement {
        let before = rfc3339(self.before + Duration::from_secs(1));
        let mut condition = json!({"DateLessThan": {"aws:TokenIssueTime": before}});
        if let Some((operator, key, value)) = only {
            condition[operator] = json!({key: value});
        }
        Statement { effect: "Deny", action: "*", resource: "*", condition }
    }
}

/// `AROA…:` and the name of a role session; the account and the name of a federated user.
const USER_ID: &str = "aws:userid";

/// The fields are in the order in which such policies are usually written.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: &'static str,
    action: &'static str,
    resource: &'static str,
    condition: Value,
}

/// The policy document in one line of JSON; `{:#}` writes it in several lines.
impl fmt::Display for RevocationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = self.document();
        let text = if f.alternate() {
            serde_json::to_string_pretty(&document)
        } else {
            serde_json::to_string(&document)
        };
        f.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_session_is_found_by_its_tag_by_its_id_in_a_name_and_by_its_id_as_a_name() {
        let session: SessionId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        assert_eq!(
            RevocationPolicy::of_session(session, at(1_795_262_400_000)).to_string(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"},"StringEquals":{"aws:PrincipalTag/valetkey:session":"67e55044-10b1-426f-9247-bb680e5fe0c8"}}},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"},"StringLike":{"aws:userid":["*:*67e55044-10b1-426f-9247-bb680e5fe0c8*","*:67e5504410b1426f9247bb680e5fe0c8"]}}}]}"#
        );
    }

    #[test]
    fn a_name_or_nothing_but_time_may_tell_which_sets_are_meant() {
        let named = RevocationPolicy::of_session_name("agent-7", at(1_795_262_400_999)).unwrap();
        assert_eq!(
            named.to_string(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"},"StringLike":{"aws:userid":"*:agent-7"}}}]}"#
        );
        assert_eq!(
            RevocationPolicy::of_everybody(at(1_795_262_400_000)).to_string(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"}}}]}"#
        );
    }

    #[test]
    fn no_pattern_gets_into_a_name() {
        for name in ["*", "a*", "a?", "${aws:userid}", "a b", "a", "", &"a".repeat(65)] {
            let error = RevocationPolicy::of_session_name(name, at(0)).unwrap_err();
            assert_eq!(error.field(), Some("session_name"), "{name}");
        }
    }

    #[test]
    fn over_several_lines_it_is_the_same_document() {
        let policy = RevocationPolicy::of_session(SessionId::random(), at(0));
        let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(read(format!("{policy:#}")), read(policy.to_string()));
        assert!(format!("{policy:#}").lines().count() > 10);
    }
}
