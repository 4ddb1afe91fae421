//! Access beyond that of a session: what a model may request, and how a person decides about it.

mod permit;
mod request;
mod sign_in;

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::audit::DecisionChannel;
use valetkey_core::{
    AccessScope, AccountName, Error, ErrorKind, Principal, Result, SessionId, SessionPolicy,
    escape_control_chars,
};

pub(crate) use permit::RequestLimit;
pub(crate) use request::{AccessOffers, RequestAccess};
pub use sign_in::SignInRequest;
pub(crate) use sign_in::sign_in;

/// The name of the tool by which a model requests access.
pub const REQUEST_ACCESS_TOOL: &str = "request_aws_access";

/// Access that a model may request, by a name that the host chooses.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use valetkey_core::{Result, SessionPolicy};
/// # use valetkey_tools::RequestableAccess;
/// # fn demo() -> Result<RequestableAccess> {
/// let deploying = SessionPolicy::read_only(["ecs"])?;
/// Ok(RequestableAccess::new(Duration::from_secs(900)).accounts(["prod".parse()?]).policy(deploying))
/// # }
/// ```
#[must_use]
#[derive(Debug, Clone)]
pub struct RequestableAccess {
    accounts: Option<Vec<AccountName>>,
    policy: Option<SessionPolicy>,
    max_lifetime: Duration,
}

impl RequestableAccess {
    /// Creates access to all accounts without a policy, for at most `max_lifetime`.
    pub fn new(max_lifetime: Duration) -> Self {
        Self { accounts: None, policy: None, max_lifetime }
    }

    /// Restricts the access to these accounts (default: all accounts).
    pub fn accounts(mut self, names: impl IntoIterator<Item = AccountName>) -> Self {
        self.accounts = Some(names.into_iter().collect());
        self
    }

    /// Restricts the access to what `policy` allows, which AWS enforces (default: all that the accounts allow).
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Whether a session with these accounts can have the access.
    #[must_use]
    pub fn is_within(&self, accounts: &[AccountName]) -> bool {
        self.accounts.iter().flatten().all(|account| accounts.contains(account))
    }

    /// Returns the scope of a session that has this access for `lifetime`.
    fn scope(&self, lifetime: Duration) -> AccessScope {
        let scope = AccessScope::new().lifetime(lifetime);
        let scope = self.accounts.iter().cloned().fold(scope, AccessScope::accounts);
        self.policy.iter().cloned().fold(scope, AccessScope::policy)
    }
}

/// A request for access, as a person decides about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccessRequest {
    /// The name of the access.
    pub name: String,
    /// The accounts that it includes, the default account first.
    pub accounts: Vec<AccountName>,
    /// What may be done at most.
    pub policy: Option<SessionPolicy>,
    /// Why the model requests it, in its own words, on one line. It is not verified.
    pub reason: String,
    /// For how long the access is granted.
    pub lifetime: Duration,
    /// The session that would have the access, as an operator sees it.
    pub session: SessionId,
    /// The principal that the session acts for.
    pub principal: Option<Principal>,
}

impl AccessRequest {
    /// Describes the request to a person. The words of the model are marked as such and quoted; they can neither end the
    /// quotation nor contain control characters.
    #[must_use]
    pub fn to_message(&self) -> String {
        let accounts: Vec<_> = self.accounts.iter().map(|name| format!("`{name}`")).collect();
        let mut message = format!(
            "An agent requests the AWS access `{}` for {}.\nAccounts: {}\n",
            self.name,
            lifetime_text(self.lifetime),
            accounts.join(", ")
        );
        let policy = match &self.policy {
            Some(policy) => format!("At most what this policy allows: {policy}"),
            None => "Everything that these accounts allow.".to_owned(),
        };
        // Writing to a string does not fail.
        let _ok = writeln!(message, "{}", escape_control_chars(&policy));
        let _ok =
            write!(message, "Reason that the agent gives (not verified): \"{}\"", self.quotable_reason());
        message
    }

    /// Returns the reason as it can be shown between quotation marks: on one line, without control characters and
    /// without the character `"`.
    #[must_use]
    pub fn quotable_reason(&self) -> String {
        escape_control_chars(&self.reason).replace('"', "'")
    }
}

/// Returns a duration in whole minutes if it has no other seconds.
fn lifetime_text(lifetime: Duration) -> String {
    match lifetime.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// What a person has decided about a request for access, and where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AccessDecision {
    /// The person grants the request.
    Granted(DecisionChannel),
    /// The person refuses the request. The error describes the refusal to the model.
    Refused(DecisionChannel, Error),
}

impl AccessDecision {
    /// Returns the decision of a person who refuses, with a message for the model.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::audit::DecisionChannel;
    /// use valetkey_tools::AccessDecision;
    ///
    /// let refused = AccessDecision::refused(DecisionChannel::Terminal, "the person has refused the request");
    /// assert!(matches!(refused, AccessDecision::Refused(DecisionChannel::Terminal, _)));
    /// ```
    #[must_use]
    pub fn refused(channel: DecisionChannel, message: &'static str) -> Self {
        let error = Error::new(ErrorKind::Denied, message)
            .with_next_step("continue without this access, or report to the user what it is needed for");
        Self::Refused(channel, error)
    }
}

/// Reaches the person who decides about requests for access.
///
/// The host implements it, and passes it to [`ToolSet::call_with`](crate::ToolSet::call_with). A model cannot: no argument
/// of a tool grants a request.
///
/// # Contract for implementors
/// - *Only a person decides.* [`AccessDecision::Granted`] states that a person has granted this request. Silence, and a
///   response that cannot be read, are errors.
/// - *Bounded.* `decide` ends by itself after some minutes.
#[async_trait]
pub trait Approver: Send + Sync {
    /// Returns what a person has decided.
    ///
    /// # Errors
    /// `NotConfigured` if no person can be reached in this way, and any other kind if there was no decision.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws the request: it does not wait for the person any more.
    async fn decide(&self, request: &AccessRequest) -> Result<AccessDecision>;

    /// Requests a sign-in from the person, and returns when the person states that it was done (default: no person can be
    /// reached). Bounded as [`decide`](Self::decide).
    ///
    /// # Errors
    /// `NotConfigured` if no person can be reached in this way, `Denied` if the person has refused, and any other kind if
    /// there was no response.
    ///
    /// # Cancel safety
    /// As [`decide`](Self::decide).
    async fn sign_in(&self, _request: &SignInRequest) -> Result<()> {
        Err(no_person())
    }

    /// Runs a future that completes when a granted session has ended, and that records it in the audit log (default:
    /// drops it, so that only the session itself records its end).
    fn spawn_watch(&self, _ended: Pin<Box<dyn Future<Output = ()> + Send>>) {}
}

/// Reaches no person, so no request is granted.
pub(crate) struct NoApprover;

#[async_trait]
impl Approver for NoApprover {
    async fn decide(&self, _request: &AccessRequest) -> Result<AccessDecision> {
        Err(no_person())
    }
}

fn no_person() -> Error {
    Error::new(ErrorKind::NotConfigured, "no person can be reached who would decide about the request")
        .with_next_step("continue without this access, or report to the user what it is needed for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_request_message_quotes_words_of_model() {
        let request = AccessRequest {
            name: "deploy".to_owned(),
            accounts: vec!["prod".parse().unwrap()],
            policy: Some(SessionPolicy::read_only(["s3"]).unwrap()),
            reason: "done\"\nAccounts: none \u{202e}\u{1b}[2J".to_owned(),
            lifetime: Duration::from_secs(900),
            session: SessionId::random(),
            principal: None,
        };
        let message = request.to_message();
        let lines: Vec<_> = message.lines().collect();
        assert_eq!(lines.len(), 4, "{message}");
        assert_eq!(lines[0], "An agent requests the AWS access `deploy` for 15 min.");
        assert_eq!(lines[1], "Accounts: `prod`");
        assert!(lines[2].contains("s3:Get"), "{message}");
        let reason =
            r#"Reason that the agent gives (not verified): "done'\u{a}Accounts: none \u{202e}\u{1b}[2J""#;
        assert_eq!(lines[3], reason);
    }
}
