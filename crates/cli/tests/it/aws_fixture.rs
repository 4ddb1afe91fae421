//! A lenient fake AWS on loopback: it accepts every key, returns every secret, and records the credentials of requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The only account of the fake.
pub(crate) const ACCOUNT: &str = "111111111111";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// A running fake. It stops when it is dropped.
pub(crate) struct AwsFixture {
    url: String,
    state: Arc<Mutex<AwsState>>,
    server_task: JoinHandle<()>,
}

#[derive(Default)]
struct AwsState {
    account: String,
    /// Refuses every request to Secrets Manager for this reason.
    refusal: Option<String>,
    secrets: HashMap<String, String>,
    received_credentials: String,
    sts_calls: Vec<(String, String)>,
    sts_requests: Vec<String>,
}

impl AwsFixture {
    pub(crate) async fn start() -> Self {
        Self::with_account(ACCOUNT).await
    }

    /// All callers belong to this account. The text is inserted into the XML as it is.
    pub(crate) async fn with_account(account: &str) -> Self {
        Self::with(AwsState { account: account.to_owned(), ..AwsState::default() }).await
    }

    /// Every request to Secrets Manager is refused for this reason.
    pub(crate) async fn refusing_secrets(reason: &str) -> Self {
        Self::with(AwsState { refusal: Some(reason.to_owned()), ..AwsState::default() }).await
    }

    async fn with(memory: AwsState) -> Self {
        let memory = Arc::new(Mutex::new(memory));
        let router = Router::new().fallback(handle_request).with_state(Arc::clone(&memory));
        let (url, serving) = serve(router).await;
        Self { url, state: memory, server_task: serving }
    }

    /// Returns the value for `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the STS operations and the key ids of their callers; an unsigned request has an empty key id.
    pub(crate) fn sts_calls(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().sts_calls.clone()
    }

    /// Returns the forms of the requests to STS.
    pub(crate) fn sts_requests(&self) -> Vec<String> {
        self.state.lock().unwrap().sts_requests.clone()
    }

    /// Returns the keys and tokens of the requests.
    pub(crate) fn received_credentials(&self) -> String {
        self.state.lock().unwrap().received_credentials.clone()
    }
}

impl Drop for AwsFixture {
    fn drop(&mut self) {
        self.server_task.abort();
    }
}

/// A service that responds to every request with one status and body, and with a code that depends on the path.
pub(crate) struct FixedResponseFixture {
    url: String,
    requested: Arc<Mutex<Vec<String>>>,
    server_task: JoinHandle<()>,
}

impl FixedResponseFixture {
    pub(crate) async fn start(status: u16, code: fn(&str) -> &'static str, body: impl ToString) -> Self {
        let requested = Arc::<Mutex<Vec<String>>>::default();
        let (noted, body) = (Arc::clone(&requested), body.to_string());
        let respond = move |uri: Uri| {
            noted.lock().unwrap().push(uri.path().to_owned());
            let status = StatusCode::from_u16(status).unwrap();
            std::future::ready((status, [("x-amzn-errortype", code(uri.path()))], body.clone()))
        };
        let (url, serving) = serve(Router::new().fallback(respond)).await;
        Self { url, requested, server_task: serving }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The paths that were requested.
    pub(crate) fn requested(&self) -> Vec<String> {
        self.requested.lock().unwrap().clone()
    }
}

impl Drop for FixedResponseFixture {
    fn drop(&mut self) {
        self.server_task.abort();
    }
}

async fn serve(router: Router) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (url, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

async fn handle_request(
    State(memory): State<Arc<Mutex<AwsState>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut memory = memory.lock().unwrap();
    let signed = header("authorization").to_owned();
    memory.received_credentials += &format!("{signed} {}\n", header("x-amz-security-token"));
    match header("x-amz-target").strip_prefix("secretsmanager.") {
        Some(action) => match &memory.refusal {
            Some(reason) => {
                let refusal = json!({"__type": "InvalidParameterException", "message": reason});
                (StatusCode::BAD_REQUEST, refusal.to_string())
            }
            None => {
                let input = serde_json::from_slice(&body).unwrap();
                (StatusCode::OK, secrets_manager_response(&mut memory.secrets, action, &input))
            }
        },
        None => {
            let form = String::from_utf8_lossy(&body);
            let action = form.split_once("Action=").map_or("", |(_, rest)| rest.split('&').next().unwrap());
            memory.sts_calls.push((action.to_owned(), signing_key_id(&signed).to_owned()));
            let request = form.clone().into_owned();
            memory.sts_requests.push(request);
            (StatusCode::OK, sts_response(action, &signed, &memory.account))
        }
    }
}

fn signing_key_id(signed: &str) -> &str {
    signed.split_once("Credential=").map_or("", |(_, rest)| rest.split('/').next().unwrap())
}

fn sts_response(action: &str, signed: &str, account: &str) -> String {
    if action != "GetCallerIdentity" {
        let id = Uuid::new_v4().simple().to_string()[..16].to_uppercase();
        return format!(
            "<{action}Response xmlns=\"{STS_NAMESPACE}\"><{action}Result><Credentials><AccessKeyId>ASIA{id}</AccessKeyId>\
             <SecretAccessKey>made-up</SecretAccessKey><SessionToken>made-up</SessionToken>\
             <Expiration>2499-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>"
        );
    }
    let name = signing_key_id(signed);
    let name = &name[name.len().saturating_sub(4)..];
    format!(
        "<GetCallerIdentityResponse xmlns=\"{STS_NAMESPACE}\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/{name}</Arn><UserId>AIDA</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

fn secrets_manager_response(kept: &mut HashMap<String, String>, action: &str, input: &Value) -> String {
    let text = |field: &str| input[field].as_str().unwrap_or_default().to_owned();
    if action == "CreateSecret" {
        kept.insert(text("Name"), text("SecretString"));
    }
    let version = Uuid::nil().to_string();
    let name = text("SecretId");
    json!({
        "ARN": format!("arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}"),
        "Name": name,
        "SecretString": kept.get(&name),
        "VersionId": version,
        "VersionStages": ["AWSCURRENT"],
        "VersionIdsToStages": {version: ["AWSCURRENT"]},
    })
    .to_string()
}
