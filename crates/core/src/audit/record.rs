//! `AuditRecord`: one event in the life of a session's credentials.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use uuid::{NoContext, Timestamp, Uuid};

use super::RequestDetails;
use crate::expiry::format_rfc3339;
use crate::{
    AccountName, Credentials, Error, ErrorKind, Expiry, Generation, OutstandingCredentials, PolicyDigest,
    Principal, SessionContext, SessionId,
};

/// The kind of an audited event.
///
/// Serialized in `snake_case`. Kinds may be added.
///
/// # Examples
/// ```
/// # use valetkey_core::audit::AuditEvent;
/// assert_eq!(serde_json::to_value(AuditEvent::Issue).unwrap(), "issue");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditEvent {
    /// Credentials were set on a session.
    Set,
    /// A session's provider issued its first credentials.
    Issue,
    /// A provider replaced the credentials, or failed to.
    Refresh,
    /// Credentials left the session: to a child process, an endpoint request, an SDK client.
    Serve,
    /// A child session with less authority was created.
    Narrow,
    /// A model requested access that its session does not have.
    RequestAccess,
    /// A person granted such a request, and a session with this access was created.
    GrantAccess,
    /// Such a request was refused, or ended without a decision.
    RefuseAccess,
    /// The session of such a grant ended.
    EndAccess,
    /// A running child process was moved to new credentials.
    Rotate,
    /// A request of a program that holds no key was signed and sent to AWS.
    Request,
    /// A request was refused.
    Deny,
    /// A session was cleared and stays usable.
    Clear,
    /// A session ended.
    Close,
}

/// Where a person has decided about a request for access.
///
/// Serialized in `snake_case`. Channels may be added.
///
/// # Examples
/// ```
/// # use valetkey_core::audit::DecisionChannel;
/// assert_eq!(serde_json::to_value(DecisionChannel::StatusPage).unwrap(), "status_page");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DecisionChannel {
    /// In a form of the MCP client.
    Elicitation,
    /// On the status page of the gateway.
    StatusPage,
    /// In a terminal, by a command.
    Terminal,
}

/// Describes one event. The record id, session, principal, account and key suffix join it to other logs.
///
/// Serialized as an object with a key for each field; a value that is absent is `null`, and `narrow`, `request` and
/// `decided_by` are then left out.
///
/// # Examples
/// ```
/// # use std::sync::Arc;
/// # use valetkey_core::{SessionContext, audit::InMemoryAudit};
/// # let audit = Arc::new(InMemoryAudit::default());
/// # let session = SessionContext::builder().audit(audit.clone()).build();
/// # session.close();
/// # let record = audit.records().remove(0);
/// let line = serde_json::to_value(&record).unwrap();
/// assert_eq!(line["session"], session.id().to_string());
/// assert_eq!(line["event"], "close");
/// assert!(line["failure"].is_null() && line.get("narrow").is_none());
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// Time-ordered id (UUID version 7).
    pub id: Uuid,
    /// The time of the event, by the session's clock. Serialized as RFC 3339.
    #[serde(serialize_with = "instant")]
    pub at: SystemTime,
    /// The session.
    pub session: SessionId,
    /// The principal that the session acts for.
    pub principal: Option<Principal>,
    /// The kind of event.
    pub event: AuditEvent,
    /// The account; absent for events of the whole session.
    pub account: Option<AccountName>,
    /// The provider or consumer involved.
    pub component: Option<String>,
    /// The last four characters of the access key id.
    pub key_suffix: Option<String>,
    /// When the credentials expire. For [`AuditEvent::Clear`] and [`AuditEvent::Close`]: until when AWS accepts the
    /// last credentials that the session has held, if it still accepts any.
    pub expires_at: Option<Expiry>,
    /// The generation of the credentials within the account.
    pub generation: Option<Generation>,
    /// The kind of error; absent for successful events.
    pub failure: Option<ErrorKind>,
    /// The restrictions of a child session; only with [`AuditEvent::Narrow`], [`AuditEvent::GrantAccess`] and
    /// [`AuditEvent::EndAccess`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrow: Option<NarrowDetails>,
    /// The request to AWS; with [`AuditEvent::Request`], and with [`AuditEvent::Deny`] if a request was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestDetails>,
    /// Where a person has decided; with [`AuditEvent::GrantAccess`], and with [`AuditEvent::RefuseAccess`] if a person has
    /// refused the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<DecisionChannel>,
}

/// Describes the authority of a narrowed child session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NarrowDetails {
    /// The child session. The record itself belongs to the parent, or to the session for which access was granted.
    pub child: SessionId,
    /// The accounts that the child may use, the default account first.
    pub accounts: Vec<AccountName>,
    /// The policy that was applied to the accounts, if any. If the parent is itself narrowed, its policies apply as
    /// well and are in records of their own.
    pub policy: Option<PolicyDigest>,
    /// When the child ends by itself.
    pub expires_at: Expiry,
}

impl NarrowDetails {
    /// Describes a narrowed session that was restricted by this policy.
    #[must_use]
    pub fn of(session: &SessionContext, policy: Option<PolicyDigest>) -> Self {
        Self { child: session.id(), accounts: session.accounts(), policy, expires_at: session.expires_at() }
    }
}

impl AuditRecord {
    /// Creates a record without details.
    pub(crate) fn new(
        at: SystemTime,
        session: SessionId,
        principal: Option<Principal>,
        event: AuditEvent,
    ) -> Self {
        Self {
            id: uuid_v7(at),
            at,
            session,
            principal,
            event,
            account: None,
            component: None,
            key_suffix: None,
            expires_at: None,
            generation: None,
            failure: None,
            narrow: None,
            request: None,
            decided_by: None,
        }
    }

    pub(crate) fn account(mut self, name: &AccountName) -> Self {
        self.account = Some(name.clone());
        self
    }

    pub(crate) fn with_component(mut self, name: &str) -> Self {
        self.component = Some(name.to_owned());
        self
    }

    /// Adds what identifies the credentials. The component is their provider, unless one was added before.
    pub(crate) fn credentials(mut self, credentials: &Credentials) -> Self {
        self.component.get_or_insert_with(|| credentials.provider().to_owned());
        self.key_suffix = Some(credentials.access_key_id().last_four().to_owned());
        self.expires_at = Some(credentials.expiry());
        self
    }

    pub(crate) fn with_outstanding(mut self, outstanding: &OutstandingCredentials) -> Self {
        self.expires_at = outstanding.expires_at();
        self
    }

    pub(crate) fn with_expiry(mut self, expiry: Option<Expiry>) -> Self {
        self.expires_at = expiry;
        self
    }

    pub(crate) fn with_generation(mut self, generation: Generation) -> Self {
        self.generation = Some(generation);
        self
    }

    pub(crate) fn with_narrow_details(mut self, details: NarrowDetails) -> Self {
        self.narrow = Some(details);
        self
    }

    pub(crate) fn with_request(mut self, request: RequestDetails) -> Self {
        self.request = Some(request);
        self
    }

    pub(crate) fn with_decision(mut self, channel: DecisionChannel) -> Self {
        self.decided_by = Some(channel);
        self
    }

    /// Adds the kind of an error, and not its message: a kind cannot hold a secret.
    pub(crate) fn with_failure(mut self, error: &Error) -> Self {
        self.failure = Some(error.kind());
        self
    }
}

/// Returns an id that sorts by the time of the record; an instant before 1970 counts as 1970.
fn uuid_v7(at: SystemTime) -> Uuid {
    let unix_time = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, unix_time.as_secs(), unix_time.subsec_nanos()))
}

fn instant<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_rfc3339(*at))
}

/// The [code](ErrorKind::code) of the kind.
impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
