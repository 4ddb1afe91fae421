//! The audit record of each request: what it addressed and how it ended, and none of its content.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use valetkey_core::audit::{AuditRecord, AuditSink};
use valetkey_core::{Credentials, SessionContext};
use valetkey_signing::{ConnectionCheck, Placeholder, ProxySettings, Rules, SigningProxy};

use crate::request_fixture::{ServiceFixture, send};

#[derive(Debug)]
struct ChannelSink(UnboundedSender<Value>);

impl AuditSink for ChannelSink {
    fn record(&self, record: &AuditRecord) {
        let _receiver_gone = self.0.send(serde_json::to_value(record).unwrap());
    }
}

struct AuditFixture {
    session: SessionContext,
    records: UnboundedReceiver<Value>,
    _proxy: SigningProxy,
    placeholder: Placeholder,
}

impl AuditFixture {
    async fn new(service: &ServiceFixture) -> Self {
        Self::with_placeholder(service, |placeholder| placeholder).await
    }

    async fn with_placeholder(
        service: &ServiceFixture,
        describe: impl FnOnce(Placeholder) -> Placeholder,
    ) -> Self {
        let (sender, records) = unbounded_channel();
        let session = SessionContext::builder().audit(Arc::new(ChannelSink(sender))).build();
        let key = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
        session.set_credentials(Credentials::builder(key, "secret".into()).build().unwrap()).unwrap();
        let settings = ProxySettings::default().endpoint(&service.url()).unwrap();
        let proxy = SigningProxy::start_with(settings).await.unwrap();
        let rules = Rules::default().deny("dynamodb:Delete*").unwrap();
        let account = session.account(session.default_account()).unwrap();
        let placeholder = describe(proxy.placeholder(account, "report", rules));
        Self { session, records, _proxy: proxy, placeholder }
    }

    /// Returns the next record of a request.
    async fn next_request(&mut self) -> Value {
        loop {
            let record = self.records.recv().await.unwrap();
            if record.get("request").is_some() {
                return record;
            }
        }
    }
}

#[tokio::test]
async fn forwarded_request_is_recorded_with_its_response() {
    let service = ServiceFixture::start(
        "HTTP/1.1 400 Bad Request\r\nx-amzn-requestid: ABC-1\r\ncontent-length: 5\r\n\r\nerror",
    )
    .await;
    let mut fixture = AuditFixture::new(&service).await;
    let response = send(&fixture.placeholder, "DynamoDB_20120810.GetItem", "{\"private\":1}").await;
    assert_eq!(response.into_text().await, (400, "error".to_owned()));
    let record = fixture.next_request().await;
    let request = &record["request"];
    let expected = json!({
        "service": "dynamodb", "operation": "GetItem", "region": "eu-west-1", "status": 400, "request_id": "ABC-1",
        "duration_ms": request["duration_ms"], "request_bytes": 13, "response_bytes": 5, "complete": true,
    });
    assert_eq!(*request, expected);
    assert_eq!((&record["event"], &record["component"]), (&json!("request"), &json!("report")));
    assert_eq!((&record["account"], &record["key_suffix"]), (&json!("default"), &json!("MPLE")));
    assert_eq!((&record["session"], &record["failure"]), (&json!(fixture.session.id()), &Value::Null));
    assert!(!record.to_string().contains("private"), "{record}");
}

/// Permits each connection or none, and keeps the addresses of those that it has checked.
#[derive(Default)]
struct CheckFixture {
    is_permitting: bool,
    checked: Mutex<Vec<(SocketAddr, SocketAddr)>>,
}

#[async_trait]
impl ConnectionCheck for CheckFixture {
    async fn is_permitted(&self, client: SocketAddr, server: SocketAddr) -> bool {
        self.checked.lock().push((client, server));
        self.is_permitting
    }
}

#[tokio::test]
async fn request_of_other_program_is_refused_and_recorded() {
    for is_permitting in [false, true] {
        let service = ServiceFixture::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        let check = Arc::new(CheckFixture { is_permitting, ..CheckFixture::default() });
        let restrict = |placeholder: Placeholder| placeholder.restrict_to(Arc::clone(&check) as _);
        let mut fixture = AuditFixture::with_placeholder(&service, restrict).await;
        let response = send(&fixture.placeholder, "DynamoDB_20120810.GetItem", "{}").await;
        let (status, text) = response.into_text().await;
        assert_eq!(
            (status, text.contains("given to another program")),
            match is_permitting {
                true => (200, false),
                false => (403, true),
            }
        );
        let record = fixture.next_request().await;
        assert_eq!(record["event"], if is_permitting { "request" } else { "deny" }, "{record}");
        let checked = check.checked.lock().clone();
        assert_eq!(checked.len(), 1);
        assert_eq!(format!("http://{}", checked[0].1), fixture.placeholder.url());
        assert_ne!(checked[0].0, checked[0].1);
    }
}

#[tokio::test]
async fn request_denied_by_rule_is_recorded_without_status() {
    let service = ServiceFixture::start("").await;
    let mut fixture = AuditFixture::new(&service).await;
    let response = send(&fixture.placeholder, "DynamoDB_20120810.DeleteItem", "{}").await;
    assert_eq!(response.into_text().await.0, 403);
    let record = fixture.next_request().await;
    assert_eq!((&record["event"], &record["failure"]), (&json!("deny"), &json!("denied")));
    let request = &record["request"];
    assert_eq!((&request["operation"], &request["status"]), (&json!("DeleteItem"), &Value::Null));
    assert_eq!((&request["request_bytes"], &request["complete"]), (&json!(0), &json!(false)));
}

#[tokio::test]
async fn operation_of_another_form_is_not_recorded() {
    let service = ServiceFixture::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let mut fixture = AuditFixture::new(&service).await;
    let response = send(&fixture.placeholder, "DynamoDB_20120810.a/secret", "{}").await;
    assert_eq!(response.into_text().await.0, 200);
    let record = fixture.next_request().await;
    assert_eq!(
        (&record["request"]["operation"], &record["request"]["complete"]),
        (&Value::Null, &json!(true))
    );
}

#[tokio::test]
async fn service_that_does_not_respond_is_recorded_as_request() {
    let service = ServiceFixture::start("").await;
    let mut fixture = AuditFixture::new(&service).await;
    let response = send(&fixture.placeholder, "DynamoDB_20120810.GetItem", "{}").await;
    assert_eq!(response.into_text().await.0, 503);
    let record = fixture.next_request().await;
    assert_eq!((&record["event"], &record["failure"]), (&json!("request"), &json!("unavailable")));
}

#[tokio::test]
async fn response_that_program_leaves_is_recorded_as_incomplete() {
    let service = ServiceFixture::start("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
    let mut fixture = AuditFixture::new(&service).await;
    let mut response = send(&fixture.placeholder, "DynamoDB_20120810.GetItem", "{}").await;
    assert_eq!(response.next_part().await, "first");
    // The session ends before the response: its record is written all the same.
    let session = fixture.session.id();
    fixture.session = SessionContext::builder().build();
    drop(response);
    let record = fixture.next_request().await;
    let request = &record["request"];
    assert_eq!((&request["response_bytes"], &request["complete"]), (&json!(5), &json!(false)));
    assert_eq!(record["session"], json!(session));
    service.connection().await.shutdown().await.unwrap();
}
