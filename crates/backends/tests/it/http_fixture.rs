//! An HTTP client with scripted responses that records requests, below the SDK's own serializer, signer and parser.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use percent_encoding::percent_decode_str;
use valetkey_backends::AwsClientConfig;

use crate::{region, with_fast_retries};

/// How the peer behaves.
#[derive(Debug, Clone)]
pub(crate) enum PeerBehavior {
    Responds(u16, String),
    Disconnects,
    NeverResponds,
    Custom(ReplyFn),
}

/// A status and a body; `None` closes the connection.
type HttpReply = Option<(u16, String)>;

/// Computes the response from each request.
#[derive(Clone)]
pub(crate) struct ReplyFn(Arc<dyn Fn(&SentRequest) -> HttpReply + Send + Sync>);

impl fmt::Debug for ReplyFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyFn")
    }
}

/// One request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct SentRequest {
    pub(crate) uri: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl SentRequest {
    /// The fields of a form body, decoded.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        let decode =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
        self.body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (decode(k), decode(v)))
            .collect()
    }

    /// Asserts that the form has these fields, and no others.
    #[track_caller]
    pub(crate) fn assert_form(&self, fields: &[(&str, &str)]) {
        let expected = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(self.form(), expected.collect());
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Clone)]
pub(crate) struct HttpFixture {
    behavior: PeerBehavior,
    date: Option<String>,
    sent: Arc<Mutex<Vec<SentRequest>>>,
}

impl HttpFixture {
    pub(crate) fn new(behavior: PeerBehavior) -> Self {
        Self { behavior, date: None, sent: Arc::default() }
    }

    pub(crate) fn responding(status: u16, body: impl Into<String>) -> Self {
        Self::new(PeerBehavior::Responds(status, body.into()))
    }

    pub(crate) fn with_reply(answer: impl Fn(&SentRequest) -> HttpReply + Send + Sync + 'static) -> Self {
        Self::new(PeerBehavior::Custom(ReplyFn(Arc::new(answer))))
    }

    /// Returns the same fixture with responses of this time.
    pub(crate) fn at(self, served: SystemTime) -> Self {
        Self { date: Some(DateTime::from(served).fmt(Format::HttpDate).unwrap()), ..self }
    }

    pub(crate) fn requests(&self) -> Vec<SentRequest> {
        self.sent.lock().unwrap().clone()
    }

    /// The forms of all requests.
    pub(crate) fn forms(&self) -> Vec<BTreeMap<String, String>> {
        self.requests().iter().map(SentRequest::form).collect()
    }

    pub(crate) fn client_config(&self) -> AwsClientConfig {
        let config = SdkConfig::builder().http_client(self.clone()).build();
        with_fast_retries(&AwsClientConfig::from(config).region(&region("us-east-1")))
    }
}

/// The SDK logs its HTTP client, and a response may contain a canary.
impl fmt::Debug for HttpFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpFixture")
    }
}

impl HttpConnector for HttpFixture {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let headers =
            request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        let sent = SentRequest { uri: request.uri().to_owned(), headers, body };
        self.sent.lock().unwrap().push(sent.clone());
        let respond = |status: u16, body: &str| {
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            response.headers_mut().insert("x-amzn-requestid", REQUEST_ID);
            if status == 200 && sent.uri.ends_with("/latest/api/token") {
                response.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", "21600");
            }
            if let Some(date) = &self.date {
                response.headers_mut().insert("date", date.clone());
            }
            response
        };
        let disconnected = || ConnectorError::io("hung up".into());
        HttpConnectorFuture::ready(match &self.behavior {
            PeerBehavior::Responds(status, body) => Ok(respond(*status, body)),
            PeerBehavior::Disconnects => Err(disconnected()),
            PeerBehavior::NeverResponds => Err(ConnectorError::timeout("too late".into())),
            PeerBehavior::Custom(ReplyFn(answer)) => {
                answer(&sent).map(|(status, body)| respond(status, &body)).ok_or_else(disconnected)
            }
        })
    }
}

impl HttpClient for HttpFixture {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

pub(crate) const REQUEST_ID: &str = "c6104cbe-af31-11e0-8154-cbc7ccf896c7";

/// Returns the response of STS to `AssumeRole`.
pub(crate) fn assume_role_response(key_id: &str, secret: &str, token: &str) -> String {
    issued_response("AssumeRole", ROLE_SESSION, [key_id, secret, token])
}

/// The identity of a role session.
pub(crate) const ROLE_SESSION: &str = "<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:valetkey</AssumedRoleId>\
    <Arn>arn:aws:sts::222222222222:assumed-role/agent/valetkey</Arn></AssumedRoleUser>";

/// Returns the response of STS to an operation that issues key id, secret and token, with `more` in its result.
pub(crate) fn issued_response(operation: &str, more: &str, [key_id, secret, token]: [&str; 3]) -> String {
    format!(
        r#"<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result>{more}
        <Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
        <SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
        </{operation}Result></{operation}Response>"#
    )
}

/// Returns an error response of STS.
pub(crate) fn refused(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}
