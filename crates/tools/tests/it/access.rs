//! Requests for access beyond that of the session: what a person decides about, and that nothing else grants them.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use valetkey_core::audit::{AuditEvent, DecisionChannel, InMemoryAudit};
use valetkey_core::testing::ManualClock;
use valetkey_core::{AccessScope, Error, ErrorKind, Result, SessionContext, SessionPolicy};
use valetkey_tools::{AccessDecision, AccessRequest, Approver, RequestableAccess, ToolOutput, ToolSet};

use crate::fixture::{
    CLEAR_CREDENTIALS, CLOSE_SESSION, GET_CREDENTIALS, NARROW_CREDENTIALS, REQUEST_ACCESS, error_json,
};
use crate::narrow::FakeRoleProvider;

/// A person who decides always in the same way.
#[derive(Default)]
struct PersonFixture {
    refusal: Option<ErrorKind>,
    is_silent: bool,
    requests: Mutex<Vec<AccessRequest>>,
    watched: Mutex<Vec<Pin<Box<dyn Future<Output = ()> + Send>>>>,
}

impl PersonFixture {
    fn refusing(kind: ErrorKind) -> Self {
        Self { refusal: Some(kind), ..Self::default() }
    }

    fn silent() -> Self {
        Self { is_silent: true, ..Self::default() }
    }

    fn request_count(&self) -> usize {
        self.requests.lock().len()
    }
}

#[async_trait]
impl Approver for PersonFixture {
    async fn decide(&self, request: &AccessRequest) -> Result<AccessDecision> {
        self.requests.lock().push(request.clone());
        if self.is_silent {
            pending::<()>().await;
        }
        match self.refusal {
            Some(ErrorKind::Denied) => Ok(AccessDecision::refused(DecisionChannel::Terminal, "refused")),
            Some(kind) => Err(Error::new(kind, "undecided")),
            None => Ok(AccessDecision::Granted(DecisionChannel::StatusPage)),
        }
    }

    fn spawn_watch(&self, ended: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.watched.lock().push(ended);
    }
}

/// Tools whose session may only read, while `deploy` may be requested for 15 minutes.
struct AccessFixture {
    clock: ManualClock,
    audit: Arc<InMemoryAudit>,
    session: SessionContext,
    tools: ToolSet,
}

impl AccessFixture {
    fn new() -> Self {
        let (clock, audit) = (ManualClock::new(), Arc::new(InMemoryAudit::default()));
        let session = SessionContext::builder()
            .clock(Arc::new(clock.clone()))
            .audit(audit.clone())
            .provider(FakeRoleProvider::new("FULL"))
            .build();
        let floor = AccessScope::new().policy(SessionPolicy::read_only(["s3"]).unwrap());
        let floor = session.narrow(floor.lifetime(Duration::from_secs(3600))).unwrap();
        let offers =
            BTreeMap::from([("deploy".to_owned(), RequestableAccess::new(Duration::from_secs(900)))]);
        let tools = ToolSet::builder(floor).requestable(session.clone(), offers).build();
        Self { clock, audit, session, tools }
    }

    async fn request(&self, person: &PersonFixture, input: Value) -> ToolOutput {
        self.tools.call_with(REQUEST_ACCESS, input, person).await.unwrap()
    }

    async fn granted(&self, person: &PersonFixture) -> Value {
        let output = self.request(person, valid_input()).await;
        assert!(!output.is_error, "{}", output.text);
        output.structured.unwrap()
    }

    /// Returns the last characters of the key with which a call acts.
    async fn key(&self, handle: Option<&Value>) -> std::result::Result<String, String> {
        let session = match handle {
            Some(handle) => {
                let mut arguments = json!({"credential_session": handle}).as_object().unwrap().clone();
                self.tools.extract_session(&mut arguments).map_err(|error| error.kind().code().to_owned())?
            }
            None => None,
        };
        let credentials = match session {
            Some(session) => session.credentials().await.unwrap(),
            None => {
                let status = self.tools.call(GET_CREDENTIALS, json!({})).await.unwrap();
                return status.structured.unwrap()["key_suffix"]
                    .as_str()
                    .map(str::to_owned)
                    .ok_or(status.text);
            }
        };
        Ok(credentials.access_key_id().last_four().to_owned())
    }

    fn events(&self) -> Vec<(AuditEvent, Option<ErrorKind>)> {
        let is_access = |event: AuditEvent| {
            use AuditEvent::{EndAccess, GrantAccess, RefuseAccess, RequestAccess};
            matches!(event, RequestAccess | GrantAccess | RefuseAccess | EndAccess)
        };
        let records = self.audit.records().into_iter().filter(|record| is_access(record.event));
        records.map(|record| (record.event, record.failure)).collect()
    }
}

fn valid_input() -> Value {
    json!({"access": "deploy", "reason": "to deploy"})
}

#[tokio::test]
async fn access_granted_acts_by_handle_until_it_ends() {
    let (fixture, person) = (AccessFixture::new(), PersonFixture::default());
    let granted = fixture.granted(&person).await;
    let handle = &granted["credential_session"];
    assert_eq!(fixture.key(Some(handle)).await.unwrap(), "FULL");
    assert_eq!(fixture.key(None).await.unwrap(), "LESS", "calls without the handle stay at the floor");
    let request = person.requests.lock()[0].clone();
    assert_eq!((request.name.as_str(), request.reason.as_str()), ("deploy", "to deploy"));
    assert_eq!(request.lifetime, Duration::from_secs(900));

    fixture.clock.advance(Duration::from_secs(900));
    assert_eq!(fixture.key(Some(handle)).await.unwrap_err(), "closed");
    assert_eq!(fixture.key(None).await.unwrap(), "LESS");
    let watched = person.watched.lock().pop().unwrap();
    watched.await;
    use AuditEvent::{EndAccess, GrantAccess, RequestAccess};
    assert_eq!(fixture.events(), [(RequestAccess, None), (GrantAccess, None), (EndAccess, None)]);
    let records = fixture.audit.records();
    let record = |event| records.iter().find(|record| record.event == event).unwrap();
    assert_eq!(record(GrantAccess).narrow, record(EndAccess).narrow);
    let narrowed = records.iter().rfind(|record| record.event == AuditEvent::Narrow).unwrap();
    assert_eq!(record(GrantAccess).narrow, narrowed.narrow, "the session of the grant is named");
    assert_eq!(record(GrantAccess).component.as_deref(), Some("deploy"));
    assert_eq!(record(GrantAccess).decided_by, Some(DecisionChannel::StatusPage));
    assert_eq!((record(RequestAccess).decided_by, record(EndAccess).decided_by), (None, None));
}

#[tokio::test]
async fn access_lifetime_is_limited_by_offer_and_session() {
    let (fixture, person) = (AccessFixture::new(), PersonFixture::default());
    for lifetime in [json!(901), json!(0), json!(-1), json!("60"), json!(1.5), json!(null)] {
        let mut input = valid_input();
        input["lifetime"] = lifetime.clone();
        let output = fixture.request(&person, input).await;
        assert_eq!(error_json(&output)["code"], "invalid", "{lifetime}");
    }
    let short = json!({"access": "deploy", "reason": "to deploy", "lifetime": 60});
    let output = fixture.request(&person, short).await.structured.unwrap();
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(fixture.key(Some(&output["credential_session"])).await.unwrap_err(), "closed");
    // The session of the tools ends in 100 s, and the grant with it.
    fixture.clock.advance(Duration::from_secs(3440));
    let handle = fixture.granted(&person).await["credential_session"].clone();
    assert_eq!(fixture.key(Some(&handle)).await.unwrap(), "FULL");
    fixture.clock.advance(Duration::from_secs(100));
    assert_eq!(fixture.key(Some(&handle)).await.unwrap_err(), "closed");
    assert!(!fixture.session.is_closed());
}

#[tokio::test]
async fn access_forged_arguments_never_reach_person() {
    let (fixture, person) = (AccessFixture::new(), PersonFixture::default());
    for (field, value) in [
        ("grant", json!(true)),
        ("approved", json!(true)),
        ("action", json!("accept")),
        ("policy", json!("{}")),
        ("accounts", json!(["default"])),
        ("credential_session", json!("0".repeat(32))),
        ("access", json!("everything")),
        ("access", json!(["deploy"])),
        ("access", json!("")),
        ("reason", json!(" ")),
        ("reason", json!("x".repeat(501))),
    ] {
        let mut input = valid_input();
        input[field] = value.clone();
        let output = fixture.request(&person, input).await;
        assert_eq!(error_json(&output)["code"], "invalid", "{field}: {value}");
    }
    for missing in ["access", "reason"] {
        let mut input = valid_input();
        input.as_object_mut().unwrap().shift_remove(missing);
        assert!(fixture.request(&person, input).await.is_error, "{missing}");
    }
    assert_eq!((person.request_count(), fixture.events().len()), (0, 0));
}

#[tokio::test]
async fn access_without_person_is_refused_with_remedy() {
    let fixture = AccessFixture::new();
    for _ in 0..5 {
        let output = fixture.tools.call(REQUEST_ACCESS, valid_input()).await.unwrap();
        let error = error_json(&output);
        assert_eq!(error["code"], "not_configured");
        assert!(error["next_step"].as_str().unwrap().contains("continue without"), "{error}");
    }
    let events = fixture.events();
    assert_eq!(events[1], (AuditEvent::RefuseAccess, Some(ErrorKind::NotConfigured)));
    assert!(!fixture.granted(&PersonFixture::default()).await.is_null(), "these are no refusals of a person");
}

#[tokio::test]
async fn access_refused_three_times_is_not_requested_again() {
    let fixture = AccessFixture::new();
    let refusing = PersonFixture::refusing(ErrorKind::Denied);
    for _ in 0..2 {
        assert_eq!(error_json(&fixture.request(&refusing, valid_input()).await)["code"], "denied");
    }
    let refusals = fixture.audit.records().into_iter().filter(|record| record.failure.is_some());
    let channels: Vec<_> = refusals.map(|record| record.decided_by).collect();
    assert_eq!(channels, [Some(DecisionChannel::Terminal); 2]);
    fixture.granted(&PersonFixture::default()).await;
    for _ in 0..5 {
        assert_eq!(error_json(&fixture.request(&refusing, valid_input()).await)["code"], "denied");
    }
    assert_eq!(refusing.request_count(), 5, "a grant in between lets the person be asked three times again");
    let willing = PersonFixture::default();
    assert!(fixture.request(&willing, valid_input()).await.is_error);
    assert_eq!(willing.request_count(), 0);
}

#[tokio::test]
async fn access_request_that_is_dropped_is_refused() {
    let (fixture, silent) = (AccessFixture::new(), PersonFixture::silent());
    let mut waiting = Box::pin(fixture.request(&silent, valid_input()));
    assert!((&mut waiting).now_or_never().is_none());
    let second = fixture.request(&PersonFixture::default(), valid_input()).await;
    assert_eq!(error_json(&second)["code"], "throttled", "one request at a time reaches the person");
    drop(waiting);
    let refused = (AuditEvent::RefuseAccess, Some(ErrorKind::Unavailable));
    assert_eq!(fixture.events(), [(AuditEvent::RequestAccess, None), refused]);
    fixture.granted(&PersonFixture::default()).await;
}

#[tokio::test]
async fn access_request_ends_with_its_session() {
    let (fixture, silent) = (AccessFixture::new(), PersonFixture::silent());
    let mut waiting = Box::pin(fixture.request(&silent, valid_input()));
    assert!((&mut waiting).now_or_never().is_none());
    fixture.session.close();
    let output = waiting.await;
    assert_eq!(error_json(&output)["code"], "closed", "{}", output.text);
    let refused = (AuditEvent::RefuseAccess, Some(ErrorKind::Closed));
    assert_eq!(fixture.events(), [(AuditEvent::RequestAccess, None), refused]);
}

#[tokio::test]
async fn access_ends_with_clear_close_and_session() {
    let (fixture, person) = (AccessFixture::new(), PersonFixture::default());
    let [closed, cleared] = [fixture.granted(&person).await, fixture.granted(&person).await];
    let [closed, cleared] = [&closed["credential_session"], &cleared["credential_session"]];
    // A sub-agent may get a part of a grant, which ends with it.
    let part = json!({"credential_session": cleared, "lifetime": 60});
    let part = fixture.tools.call(NARROW_CREDENTIALS, part).await.unwrap().structured.unwrap();
    assert_eq!(fixture.key(Some(&part["credential_session"])).await.unwrap(), "FULL");
    fixture.tools.call(CLOSE_SESSION, json!({"credential_session": closed})).await.unwrap();
    assert_eq!(fixture.key(Some(closed)).await.unwrap_err(), "closed");
    assert_eq!(fixture.key(Some(cleared)).await.unwrap(), "FULL");
    fixture.tools.call(CLEAR_CREDENTIALS, json!({})).await.unwrap();
    for handle in [cleared, &part["credential_session"]] {
        assert_eq!(fixture.key(Some(handle)).await.unwrap_err(), "closed");
    }
    let output = fixture.request(&person, valid_input()).await;
    assert_eq!(error_json(&output)["code"], "closed", "the session has ended: {}", output.text);
}

#[tokio::test]
async fn access_grants_are_not_described_to_other_processes() {
    let (fixture, person) = (AccessFixture::new(), PersonFixture::default());
    let handle = fixture.granted(&person).await["credential_session"].clone();
    assert!(fixture.tools.narrowed_sessions().is_empty());
    assert!(!fixture.tools.restore_narrowed(&[]));
    assert_eq!(fixture.key(Some(&handle)).await.unwrap(), "FULL");
}

#[test]
fn access_tool_is_absent_without_offers() {
    let tools = ToolSet::for_session(SessionContext::builder().build());
    assert!(tools.get(REQUEST_ACCESS).is_none());
    let fixture = AccessFixture::new();
    let names: Vec<_> = fixture.tools.definitions().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names.last(), Some(&REQUEST_ACCESS));
}
