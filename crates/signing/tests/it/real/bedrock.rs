//! Paths in the manner of Bedrock, with names of models that contain `:` and `/`, as botocore signs them.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use valetkey_rig::{AccessKey, Script, Venv};

use super::fixture::{direct_variables, moto_key, script, variables};
use crate::recording_service::RecordingFixture;

const CALLS: &str = include_str!("bedrock.py");
const VERIFY: &str = include_str!("bedrock_verify.py");

fn to_json(request: &Request<Bytes>) -> Value {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()]));
    json!({
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": headers.collect::<Vec<_>>(),
        "body": String::from_utf8(request.body().to_vec()).unwrap(),
    })
}

/// Returns for each request whether botocore computes the same signature for it.
async fn verify(requests: &[Request<Bytes>]) -> Vec<bool> {
    let requests = Value::from_iter(requests.iter().map(to_json)).to_string();
    // That of the session of `RecordingFixture`.
    let AccessKey { access_key_id, secret_access_key } = moto_key();
    let variables = [("REQUESTS", requests), ("KEY_ID", access_key_id), ("SECRET", secret_access_key)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    serde_json::from_str(&script(VERIFY, variables.into()).run().await.unwrap()).unwrap()
}

fn lines(requests: &[Request<Bytes>]) -> Vec<String> {
    requests.iter().map(|request| format!("{} {}", request.method(), request.uri())).collect()
}

#[tokio::test]
async fn bedrock_paths_have_signature_of_botocore() {
    let mut fixture = RecordingFixture::start().await;
    let directly = direct_variables(&fixture.service_url, &moto_key());
    let expected = script(CALLS, directly).run().await.unwrap();
    let direct = fixture.requests();
    let proxied = script(CALLS, variables(&fixture.placeholder)).run().await.unwrap();
    let through_proxy = fixture.requests();
    assert_eq!(proxied, expected);
    assert_eq!(lines(&through_proxy), lines(&direct));
    assert!(lines(&direct).iter().any(|line| line.contains("%3A") && line.contains("%2F")), "{direct:?}");
    assert_eq!(verify(&direct).await, vec![true; direct.len()]);
    assert_eq!(verify(&through_proxy).await, vec![true; direct.len()]);
    assert!(direct.len() >= 8);
}

/// The SDK finds the address of Bedrock in the variables of the placeholder, and signs requests itself.
#[tokio::test]
async fn messages_of_anthropic_sdk_have_signature_of_botocore() {
    let mut fixture = RecordingFixture::start().await;
    let code = include_str!("anthropic_sdk.py");
    let program = Script::python_in(Venv::Agents, "-c").arg(code).envs(variables(&fixture.placeholder));
    program.run().await.unwrap();
    let requests = fixture.requests();
    let model =
        "/model/arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fus.vendor.model-v1:0/invoke";
    let expected = ["POST /model/vendor.model-v1:0/invoke".to_owned(), format!("POST {model}")];
    assert_eq!(lines(&requests), [&expected[..], &expected[..]].concat());
    assert_eq!(verify(&requests).await, vec![true; requests.len()]);
}

#[tokio::test]
async fn bedrock_changed_path_fails_signature_of_botocore() {
    let mut fixture = RecordingFixture::start().await;
    script(CALLS, variables(&fixture.placeholder)).run().await.unwrap();
    let mut requests = fixture.requests();
    for request in &mut requests {
        *request.uri_mut() = format!("{}x", request.uri()).parse().unwrap();
    }
    assert_eq!(verify(&requests).await, vec![false; requests.len()]);
}
