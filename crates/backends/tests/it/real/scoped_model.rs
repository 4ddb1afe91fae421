//! `GetScopedCredentials` beside botocore, whose service model is the one that AWS publishes: both send the same
//! request, and both read the same response.

use std::collections::BTreeMap;
use std::time::Duration;

use valetkey_backends::ScopedProvider;
use valetkey_core::{CredentialProvider, Expiry, SessionPolicy};
use valetkey_rig::{Script, Venv};

use crate::http_fixture::{SentRequest, issued_response};
use crate::loopback_fixture::LoopbackFixture;
use crate::memory_source;
use crate::scoped::{SCOPED_SESSION, temporary_credentials};

const KEYS: [&str; 3] = ["ASIAIOSFODNN7EXAMPLE", "scoped-secret", "scoped-token"];
const DESCRIPTION: &str = "agent 7: reads é & \"logs\"";
const CLIENT: &str = r#"
import json, sys, botocore.session
url, policy, seconds, description = sys.argv[1:]
session = botocore.session.get_session()
session.set_credentials("ASIAI44QH8DHBEXAMPLE", "source-secret", "source-token")
sts = session.create_client("sts", region_name="us-east-1", endpoint_url=url)
response = sts.get_scoped_credentials(
    Policy=policy, DurationSeconds=int(seconds), ScopedSessionDescription=description)
print(json.dumps(response, default=str))
"#;

async fn call_botocore(url: &str, policy: &str) -> serde_json::Value {
    let script = Script::python_in(Venv::Botocore, "-c").arg(CLIENT);
    let text = script.arg(url).arg(policy).arg("900").arg(DESCRIPTION).run().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The form of one request, as the server received it.
fn request_form(request: &str) -> BTreeMap<String, String> {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    SentRequest { uri: String::new(), headers: BTreeMap::new(), body: body.to_owned() }.form()
}

#[tokio::test]
async fn scoped_request_and_response_match_botocore() {
    let policy = SessionPolicy::read_only(["s3"]).unwrap();
    let more = format!("{SCOPED_SESSION}<ScopedPoliciesCount>1</ScopedPoliciesCount>");
    let response = || issued_response("GetScopedCredentials", &more, KEYS);

    let server = LoopbackFixture::responding(200, response()).await;
    let theirs = call_botocore(server.url(), &policy.to_string()).await;
    let their_request = request_form(&server.requests_text());

    let server = LoopbackFixture::responding(200, response()).await;
    let builder = ScopedProvider::builder(memory_source(temporary_credentials(Expiry::Never)))
        .client_config(&server.client_config());
    let builder = builder.policy(policy).session_duration(Duration::from_secs(900)).description(DESCRIPTION);
    let ours = builder.build().unwrap().provide().await.unwrap();

    assert_eq!(request_form(&server.requests_text()), their_request);
    assert_eq!(theirs["SessionInfo"]["Arn"], "arn:aws:sts::222222222222:assumed-role/agent/job-7");
    assert_eq!(theirs["SessionInfo"]["ScopedSessionId"], "AROAEXAMPLE:job-7");
    assert_eq!(theirs["ScopedPoliciesCount"], 1);
    let keys = &theirs["Credentials"];
    assert_eq!(keys["AccessKeyId"], ours.access_key_id().as_str());
    assert_eq!(keys["SecretAccessKey"], ours.expose_secret_access_key());
    assert_eq!(keys["SessionToken"].as_str(), ours.expose_session_token());
    assert_eq!(ours.account_id().unwrap().as_str(), "222222222222");
    assert_eq!(ours.expiry().to_string(), "2099-01-01T00:00:00Z");
}

/// The limits of the builder are those of the model, and so are the codes of refusals.
#[tokio::test]
async fn scoped_limits_and_codes_match_botocore() {
    let script = r#"
import json, botocore.session
model = botocore.session.get_session().get_service_model("sts").operation_model("GetScopedCredentials")
shapes = model.input_shape.members
print(json.dumps({
    "limits": {name: [shape.metadata.get("min"), shape.metadata.get("max")] for name, shape in shapes.items()},
    "codes": sorted(shape.metadata["error"]["code"] for shape in model.error_shapes),
    "members": sorted(model.output_shape.members)}))
"#;
    let text = Script::python_in(Venv::Botocore, "-c").arg(script).run().await.unwrap();
    let model: serde_json::Value = serde_json::from_str(&text).unwrap();
    let limits = |name: &str| (model["limits"][name][0].as_u64(), model["limits"][name][1].as_u64());
    assert_eq!(limits("DurationSeconds"), (Some(1), Some(129_600)));
    assert_eq!(limits("ScopedSessionDescription"), (Some(2), Some(256)));
    assert_eq!(limits("Policy"), (Some(1), Some(2_048)));
    assert!(model["members"].as_array().unwrap().contains(&"SessionInfo".into()), "{model}");
    let codes = serde_json::json!([
        "InsufficientSessionLifetime",
        "InvalidSubjectCredentials",
        "MalformedPolicyDocument",
        "PackedPolicyTooLarge"
    ]);
    assert_eq!(model["codes"], codes);
}
