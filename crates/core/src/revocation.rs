//! `RevocationPolicy`: an IAM policy that revokes credentials already issued.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};

use crate::attribution::{SESSION_TAG, is_session_name};
use crate::expiry::format_rfc3339;
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
///     println!("{:#}", RevocationPolicy::for_session(session.id(), now));
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPolicy {
    target: RevocationTarget,
    issued_before: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RevocationTarget {
    Session(SessionId),
    SessionName(String),
    All,
}

impl RevocationPolicy {
    /// Revokes only the credentials of one session: those with its [tag](crate::Attribution::tags), with its id in the
    /// name of the role session, or with its id as the name of the federated user. Credentials without any of these,
    /// because their provider has no [`Attribution`](crate::Attribution), are not revoked.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{RevocationPolicy, SessionId};
    /// # use std::time::{Duration, SystemTime};
    /// # let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400);
    /// let session = SessionId::random();
    /// let policy = RevocationPolicy::for_session(session, now).to_string();
    /// assert!(policy.contains(&session.to_string()));
    /// assert!(policy.contains("2026-11-21T12:00:01Z")); // one second later: AWS counts whole seconds
    /// ```
    #[must_use]
    pub fn for_session(session: SessionId, issued_before: SystemTime) -> Self {
        Self { target: RevocationTarget::Session(session), issued_before }
    }

    /// Revokes all sessions of the role that have this name, including those that other programs opened under it.
    ///
    /// # Errors
    /// `Invalid` unless `name` is a valid role session name: 2–64 of `A-Z a-z 0-9 _ + = , . @ -`.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::RevocationPolicy;
    /// # use std::time::{Duration, SystemTime};
    /// # let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400);
    /// let policy = RevocationPolicy::for_session_name("agent-7", now)?;
    /// assert!(policy.to_string().contains(r#""aws:userid":"*:agent-7""#));
    /// assert!(RevocationPolicy::for_session_name("agent-*", now).is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn for_session_name(name: &str, issued_before: SystemTime) -> Result<Self> {
        if is_session_name(name) {
            return Ok(Self { target: RevocationTarget::SessionName(name.to_owned()), issued_before });
        }
        Err(Error::invalid("session_name", "must be 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`"))
    }

    /// Revokes all sessions of the role.
    ///
    /// The last resort when it is not known which session leaked: every user of the role must obtain new credentials.
    #[must_use]
    pub fn for_all_sessions(issued_before: SystemTime) -> Self {
        Self { target: RevocationTarget::All, issued_before }
    }

    /// Describes which sessions of the role are revoked, since these may be more than the intended one.
    #[must_use]
    pub fn description(&self) -> &'static str {
        match self.target {
            RevocationTarget::Session(_) => {
                "the credentials of this session that carry its tag or its id in their name"
            }
            RevocationTarget::SessionName(_) => "every session of the role that has this name, of all users",
            RevocationTarget::All => "every session of the role, of all users",
        }
    }

    /// A session has two statements, since the conditions of one statement must all hold: its tag may be absent, or the
    /// name may not contain its id.
    fn to_document(&self) -> RevocationDocument {
        let statements = match &self.target {
            RevocationTarget::Session(session) => {
                let tag = format!("aws:PrincipalTag/{SESSION_TAG}");
                // A template may have put any text around the id.
                let names = json!([format!("*:*{session}*"), format!("*:{}", session.compact())]);
                vec![
                    self.deny_statement(Some(("StringEquals", &tag, session.to_string().into()))),
                    self.deny_statement(Some(("StringLike", USER_ID_KEY, names))),
                ]
            }
            RevocationTarget::SessionName(name) => {
                vec![self.deny_statement(Some(("StringLike", USER_ID_KEY, format!("*:{name}").into())))]
            }
            RevocationTarget::All => vec![self.deny_statement(None)],
        };
        RevocationDocument { version: "2012-10-17", statement: statements }
    }

    /// Denies everything to credentials that were issued before the instant and match `restriction`: an operator, a key
    /// and its values.
    fn deny_statement(&self, restriction: Option<(&str, &str, Value)>) -> DenyStatement {
        let before = format_rfc3339(self.issued_before + Duration::from_secs(1));
        let mut condition = json!({"DateLessThan": {"aws:TokenIssueTime": before}});
        if let Some((operator, key, value)) = restriction {
            condition[operator] = json!({key: value});
        }
        DenyStatement { effect: "Deny", action: "*", resource: "*", condition }
    }
}

/// `AROA…:` and the name of a role session; the account and the name of a federated user.
const USER_ID_KEY: &str = "aws:userid";

/// The fields are in the order in which such policies are usually written.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RevocationDocument {
    version: &'static str,
    statement: Vec<DenyStatement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DenyStatement {
    effect: &'static str,
    action: &'static str,
    resource: &'static str,
    condition: Value,
}

/// The policy document in one line of JSON; `{:#}` writes it in several lines.
impl fmt::Display for RevocationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = self.to_document();
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
    fn revocation_for_session_matches_tag_and_user_id() {
        let session: SessionId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        assert_eq!(
            RevocationPolicy::for_session(session, at(1_795_262_400_000)).to_string(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"},"StringEquals":{"aws:PrincipalTag/valetkey:session":"67e55044-10b1-426f-9247-bb680e5fe0c8"}}},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"},"StringLike":{"aws:userid":["*:*67e55044-10b1-426f-9247-bb680e5fe0c8*","*:67e5504410b1426f9247bb680e5fe0c8"]}}}]}"#
        );
    }

    #[test]
    fn revocation_for_session_name_and_for_all_sessions() {
        let named = RevocationPolicy::for_session_name("agent-7", at(1_795_262_400_999)).unwrap();
        assert_eq!(
            named.to_string(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"},"StringLike":{"aws:userid":"*:agent-7"}}}]}"#
        );
        assert_eq!(
            RevocationPolicy::for_all_sessions(at(1_795_262_400_000)).to_string(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T12:00:01Z"}}}]}"#
        );
    }

    #[test]
    fn revocation_for_session_name_refuses_patterns() {
        for name in ["*", "a*", "a?", "${aws:userid}", "a b", "a", "", &"a".repeat(65)] {
            let error = RevocationPolicy::for_session_name(name, at(0)).unwrap_err();
            assert_eq!(error.field(), Some("session_name"), "{name}");
        }
    }

    #[test]
    fn revocation_pretty_display_is_same_document() {
        let policy = RevocationPolicy::for_session(SessionId::random(), at(0));
        let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(read(format!("{policy:#}")), read(policy.to_string()));
        assert!(format!("{policy:#}").lines().count() > 10);
    }
}
