//! `AccessRequests`: the requests that wait for a person, for an operator who decides outside the client.
//!
//! | event | effect |
//! |---|---|
//! | a model requests access, or the credentials of an account need a sign-in | the request is listed, under a random id |
//! | an operator approves or denies it | it leaves the list, and the call continues with the decision |
//! | an operator approves a sign-in | this states that the sign-in was made: the credentials are fetched again |
//! | the person decides in the client, the call is cancelled, the session ends, or the time is over | it leaves the list |
//! | a second decision | fails: no such request waits |

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;
use valetkey_core::audit::DecisionChannel;
use valetkey_core::{AccountName, Error, ErrorKind, Principal, Result, SessionId, escape_control_chars};
use valetkey_tools::{AccessDecision, AccessRequest, SignInRequest};

/// The maximum number of requests that wait, in total.
const MAX_REQUESTS: usize = 64;
/// The maximum number for one principal, so that no other one has to wait for its decisions.
const MAX_PER_PRINCIPAL: usize = 16;
/// The maximum number for one session.
const MAX_PER_SESSION: usize = 4;
/// The number of hexadecimal digits of an id, which a person may have to type.
const ID_DIGITS: usize = 12;

/// The requests for access and the sign-ins that wait for a person. Clones share them.
///
/// A gateway [adds](crate::Gateway::with_access_requests) each of them, and a person decides by
/// [`approve`](Self::approve) or [`deny`](Self::deny), or in the client if it can show a form: the first decision
/// counts. A host that calls these methods must make sure that a person decides, and never a model: the id of a request is
/// no secret.
///
/// # Examples
/// ```
/// use valetkey_core::audit::DecisionChannel;
/// use valetkey_core::ErrorKind;
/// use valetkey_mcp::AccessRequests;
///
/// let requests = AccessRequests::new();
/// for request in requests.list() {
///     println!("{}: {:?} for {:?}", request.id, request.subject, request.principal);
/// }
/// let undecided = requests.approve("0123456789ab", DecisionChannel::Terminal);
/// assert_eq!(undecided.unwrap_err().kind(), ErrorKind::Closed);
/// ```
#[derive(Clone, Default)]
pub struct AccessRequests(Arc<Mutex<HashMap<String, Entry>>>);

struct Entry {
    request: PersonRequest,
    deadline: Instant,
    decision: oneshot::Sender<AccessDecision>,
}

/// What is requested from a person.
#[derive(Clone)]
pub(crate) enum PersonRequest {
    Access(AccessRequest),
    SignIn(SignInRequest),
}

/// Describes a request that waits for a person, without a secret. No text has control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PendingRequest {
    /// Identifies the request while it waits. Random, and no secret.
    pub id: String,
    /// What is requested. Its fields are serialized beside the others, with `kind`.
    #[serde(flatten)]
    pub subject: RequestSubject,
    /// The principal that the session acts for.
    pub principal: Option<Principal>,
    /// The session that would have the access, or whose account needs the sign-in.
    pub session: SessionId,
    /// The time that remains for a decision.
    pub remaining_seconds: u64,
}

/// What a person decides about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestSubject {
    /// A model requests access. Approval grants it.
    #[non_exhaustive]
    Access {
        /// The name of the access.
        access: String,
        /// The accounts that it includes, the default account first.
        accounts: Vec<AccountName>,
        /// What may be done at most, as JSON text; absent if the access has no policy.
        policy: Option<String>,
        /// Why the model requests it, in its own words, without the character `"`. It is not verified.
        reason: String,
        /// For how long the access is granted.
        lifetime_seconds: u64,
    },
    /// The credentials of an account need a sign-in. Approval states that it was made.
    #[non_exhaustive]
    SignIn {
        /// The account.
        account: AccountName,
        /// Why a sign-in is needed.
        message: String,
        /// What the person has to do, such as a command.
        next_step: Option<String>,
    },
}

impl AccessRequests {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the requests that wait, the one that waits longest first.
    #[must_use]
    pub fn list(&self) -> Vec<PendingRequest> {
        let now = Instant::now();
        let entries = self.0.lock();
        let mut sorted: Vec<_> = entries.iter().filter(|(_, entry)| entry.deadline > now).collect();
        sorted.sort_by_key(|(id, entry)| (entry.deadline, id.as_str()));
        sorted.into_iter().map(|(id, entry)| entry.describe(id, now)).collect()
    }

    /// Returns the number of requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let now = Instant::now();
        self.0.lock().values().filter(|entry| entry.deadline > now).count()
    }

    /// Grants a request, or states that a sign-in was made, on behalf of a person.
    ///
    /// # Errors
    /// `Closed` if no such request waits: it was decided, withdrawn or too old, or its session has ended.
    pub fn approve(&self, id: &str, channel: DecisionChannel) -> Result<PendingRequest> {
        self.decide(id, |_| AccessDecision::Granted(channel))
    }

    /// Refuses a request, on behalf of a person.
    ///
    /// # Errors
    /// As for [`approve`](Self::approve).
    pub fn deny(&self, id: &str, channel: DecisionChannel) -> Result<PendingRequest> {
        self.decide(id, |request| request.refused(channel))
    }

    fn decide(
        &self,
        id: &str,
        decision: impl FnOnce(&PersonRequest) -> AccessDecision,
    ) -> Result<PendingRequest> {
        let now = Instant::now();
        // A request that has left the list has its decision.
        let mut entries = self.0.lock();
        let entry = entries.remove(id).filter(|entry| entry.deadline > now).ok_or_else(not_waiting)?;
        let described = entry.describe(id, now);
        entry.decision.send(decision(&entry.request)).map_err(|_withdrawn| not_waiting())?;
        Ok(described)
    }

    /// Lists a request until the returned value is dropped, and for decisions during `time`.
    ///
    /// # Errors
    /// `Throttled` if too many requests wait.
    pub(crate) fn insert(&self, request: PersonRequest, time: Duration) -> Result<WaitingRequest> {
        let (decision, receiver) = oneshot::channel();
        let mut entries = self.0.lock();
        let count = |is_counted: &dyn Fn(&PersonRequest) -> bool| {
            entries.values().filter(|entry| is_counted(&entry.request)).count()
        };
        let (session, principal) = request.origin();
        let is_full = entries.len() >= MAX_REQUESTS
            || count(&|other| other.origin().0 == session) >= MAX_PER_SESSION
            || count(&|other| other.origin().1 == principal) >= MAX_PER_PRINCIPAL;
        if is_full {
            return Err(Error::new(ErrorKind::Throttled, "too many requests wait for a person")
                .with_next_step("wait until some of them are decided"));
        }
        let id = std::iter::repeat_with(random_id).find(|id| !entries.contains_key(id)).unwrap_or_default();
        let what = match &request {
            PersonRequest::Access(access) => format!("access `{}`", escape_control_chars(&access.name)),
            PersonRequest::SignIn(sign_in) => format!("sign-in for the account `{}`", sign_in.account),
        };
        tracing::warn!(
            request = %id, %session, what, "a request waits for a person: see `valetkey access list`"
        );
        entries.insert(id.clone(), Entry { request, deadline: Instant::now() + time, decision });
        drop(entries);
        Ok(WaitingRequest { requests: self.clone(), id, receiver })
    }
}

impl PersonRequest {
    /// Returns the session and the principal that it is for.
    fn origin(&self) -> (SessionId, Option<&Principal>) {
        match self {
            Self::Access(request) => (request.session, request.principal.as_ref()),
            Self::SignIn(request) => (request.session, request.principal.as_ref()),
        }
    }

    /// Returns the decision of a person who refuses.
    pub(crate) fn refused(&self, channel: DecisionChannel) -> AccessDecision {
        match self {
            Self::Access(_) => AccessDecision::refused(channel, "the person has refused the request"),
            Self::SignIn(_) => {
                let error = Error::new(ErrorKind::Denied, "the person did not sign in");
                let next_step =
                    "continue without this account, and report to the user what could not be done";
                AccessDecision::Refused(channel, error.with_next_step(next_step))
            }
        }
    }

    fn subject(&self) -> RequestSubject {
        let escape = |text: &str| escape_control_chars(text).into_owned();
        match self {
            Self::Access(request) => RequestSubject::Access {
                access: escape(&request.name),
                accounts: request.accounts.clone(),
                policy: request.policy.as_ref().map(|policy| escape(&policy.to_string())),
                reason: request.quotable_reason(),
                lifetime_seconds: request.lifetime.as_secs(),
            },
            Self::SignIn(request) => RequestSubject::SignIn {
                account: request.account.clone(),
                message: escape(&request.message),
                next_step: request.next_step.as_deref().map(escape),
            },
        }
    }
}

impl Entry {
    fn describe(&self, id: &str, now: Instant) -> PendingRequest {
        let (session, principal) = self.request.origin();
        PendingRequest {
            id: id.to_owned(),
            subject: self.request.subject(),
            principal: principal.cloned(),
            session,
            remaining_seconds: self.deadline.saturating_duration_since(now).as_secs(),
        }
    }
}

fn random_id() -> String {
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(ID_DIGITS);
    id
}

fn not_waiting() -> Error {
    Error::new(ErrorKind::Closed, "no such request waits: it was decided or withdrawn, or its time is over")
        .with_next_step("list the requests again")
}

/// A request in the list, which it leaves when this value is dropped.
pub(crate) struct WaitingRequest {
    requests: AccessRequests,
    id: String,
    receiver: oneshot::Receiver<AccessDecision>,
}

impl WaitingRequest {
    /// Waits for a decision. Never completes without one. Cancel safe.
    pub(crate) async fn decision(&mut self) -> AccessDecision {
        match (&mut self.receiver).await {
            Ok(decision) => decision,
            Err(_removed) => pending().await,
        }
    }

    /// Removes the request from the list, and returns the decision if it has one that was not received.
    pub(crate) fn withdraw(mut self) -> Option<AccessDecision> {
        let undecided = self.requests.0.lock().remove(&self.id);
        if undecided.is_some() { None } else { self.receiver.try_recv().ok() }
    }
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        self.requests.0.lock().remove(&self.id);
    }
}

impl fmt::Debug for AccessRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequests").field("waiting", &self.0.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use futures_util::FutureExt;
    use serde_json::{Value, json};
    use valetkey_core::SessionContext;
    use valetkey_tools::{Approver, REQUEST_ACCESS, RequestableAccess, ToolSet};

    use super::*;

    const TIME: Duration = Duration::from_secs(300);

    /// Takes the requests of tools, which cannot be made otherwise.
    struct RequestReader(Mutex<Vec<AccessRequest>>);

    #[async_trait]
    impl Approver for RequestReader {
        async fn decide(&self, request: &AccessRequest) -> Result<AccessDecision> {
            self.0.lock().push(request.clone());
            Ok(AccessDecision::refused(DecisionChannel::Elicitation, "refused"))
        }
    }

    fn request(principal: &str, reason: &str) -> AccessRequest {
        let session = SessionContext::builder().principal(principal.parse().unwrap()).build();
        let offers = BTreeMap::from([("deploy".to_owned(), RequestableAccess::new(TIME))]);
        let tools = ToolSet::builder(session.clone()).requestable(session, offers).build();
        let reader = RequestReader(Mutex::default());
        let input: Value = json!({"access": "deploy", "reason": reason, "lifetime": 60});
        let _refused = tools.call_with(REQUEST_ACCESS, input, &reader).now_or_never().unwrap();
        reader.0.into_inner().remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn access_requests_describe_what_waits() {
        let requests = AccessRequests::new();
        let access = request("alice", "to deploy\n\"now\" \u{202e}\u{1b}[2J");
        let waiting = requests.insert(PersonRequest::Access(access.clone()), TIME).unwrap();
        tokio::time::advance(Duration::from_secs(100)).await;
        let listed = requests.list();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].id.len(), listed[0].remaining_seconds), (ID_DIGITS, 200));
        let expected = RequestSubject::Access {
            access: "deploy".to_owned(),
            accounts: vec![AccountName::default_account()],
            policy: None,
            reason: r"to deploy\u{a}'now' \u{202e}\u{1b}[2J".to_owned(),
            lifetime_seconds: 60,
        };
        assert_eq!(listed[0].subject, expected);
        assert_eq!(requests.waiting(), 1);
        assert_eq!((listed[0].session, &listed[0].principal), (access.session, &access.principal));
        drop(waiting);
        assert_eq!(requests.list(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn access_requests_take_first_decision_alone() {
        let requests = AccessRequests::new();
        let access = request("alice", "to deploy");
        let mut waiting = requests.insert(PersonRequest::Access(access.clone()), TIME).unwrap();
        let id = requests.list()[0].id.clone();
        assert!(waiting.decision().now_or_never().is_none());
        assert!(requests.approve("", DecisionChannel::Terminal).is_err());
        assert_eq!(requests.deny(&id, DecisionChannel::Terminal).unwrap().id, id);
        let second = requests.approve(&id, DecisionChannel::StatusPage);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::Closed);
        assert!(matches!(waiting.decision().await, AccessDecision::Refused(DecisionChannel::Terminal, _)));
        assert_eq!(requests.list(), []);
        assert!(waiting.withdraw().is_none(), "it was received");
    }

    #[test]
    fn access_requests_withdrawn_return_late_decision() {
        let requests = AccessRequests::new();
        let access = request("alice", "to deploy");
        let waiting = requests.insert(PersonRequest::Access(access.clone()), TIME).unwrap();
        let id = requests.list()[0].id.clone();
        requests.deny(&id, DecisionChannel::Terminal).unwrap();
        assert!(matches!(waiting.withdraw(), Some(AccessDecision::Refused(DecisionChannel::Terminal, _))));
        let waiting = requests.insert(PersonRequest::Access(access.clone()), TIME).unwrap();
        let id = requests.list()[0].id.clone();
        assert!(waiting.withdraw().is_none());
        assert!(requests.approve(&id, DecisionChannel::Terminal).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn access_requests_refuse_decision_after_end() {
        let requests = AccessRequests::new();
        let access = request("alice", "to deploy");
        let waiting = requests.insert(PersonRequest::Access(access.clone()), TIME).unwrap();
        let id = requests.list()[0].id.clone();
        tokio::time::advance(TIME).await;
        assert_eq!(requests.list(), []);
        assert!(requests.approve(&id, DecisionChannel::Terminal).is_err());
        drop(waiting);
        let waiting = requests.insert(PersonRequest::Access(access.clone()), TIME).unwrap();
        let id = requests.list()[0].id.clone();
        drop(waiting);
        assert!(requests.approve(&id, DecisionChannel::Terminal).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn access_requests_are_limited() {
        let requests = AccessRequests::new();
        let mut waiting = Vec::new();
        let of_session = request("alice", "to deploy");
        for _ in 0..MAX_PER_SESSION {
            waiting.push(requests.insert(PersonRequest::Access(of_session.clone()), TIME).unwrap());
        }
        let refused =
            requests.insert(PersonRequest::Access(of_session.clone()), TIME).err().map(|error| error.kind());
        assert_eq!(refused, Some(ErrorKind::Throttled));
        while let Ok(inserted) = requests.insert(PersonRequest::Access(request("alice", "to deploy")), TIME) {
            waiting.push(inserted);
        }
        assert_eq!(waiting.len(), MAX_PER_PRINCIPAL);
        for principal in 0.. {
            match requests
                .insert(PersonRequest::Access(request(&format!("user-{principal}"), "to deploy")), TIME)
            {
                Ok(inserted) => waiting.push(inserted),
                Err(_) => break,
            }
        }
        assert_eq!(waiting.len(), MAX_REQUESTS);
        drop(waiting);
        assert_eq!(requests.list(), []);
    }

    #[test]
    fn access_requests_describe_sign_in() {
        let session = SessionContext::builder().principal("alice".parse().unwrap()).build();
        let error = Error::new(ErrorKind::InteractionRequired, "the sign-in has ended\u{1b}[2J")
            .with_next_step("run `aws sso login --profile dev`");
        let sign_in = SignInRequest::new(&session, &AccountName::default_account(), &error);
        let requests = AccessRequests::new();
        let waiting = requests.insert(PersonRequest::SignIn(sign_in), TIME).unwrap();
        let listed = serde_json::to_value(requests.list()).unwrap();
        let mut listed = listed[0].as_object().unwrap().clone();
        listed.retain(|name, _| {
            ["kind", "account", "message", "next_step", "principal"].contains(&name.as_str())
        });
        let expected = json!({
            "kind": "sign_in", "account": "default", "message": r"the sign-in has ended\u{1b}[2J",
            "next_step": "run `aws sso login --profile dev`", "principal": "alice",
        });
        assert_eq!(Value::Object(listed), expected);
        let id = requests.list()[0].id.clone();
        requests.deny(&id, DecisionChannel::Terminal).unwrap();
        let Some(AccessDecision::Refused(DecisionChannel::Terminal, error)) = waiting.withdraw() else {
            panic!("it was refused")
        };
        assert_eq!((error.kind(), error.message()), (ErrorKind::Denied, "the person did not sign in"));
    }
}
