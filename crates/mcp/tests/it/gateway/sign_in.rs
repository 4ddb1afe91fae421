//! Credentials that need a sign-in: the person at the client is requested to make it. Each era has its own way to reach the
//! client.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::audit::DecisionChannel;
use valetkey_core::testing::Canary;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Expiry, Result, SessionContext};
use valetkey_mcp::{AccessRequests, Gateway};
use valetkey_tools::ToolSet;

use super::approval::{begin_call, finish_call};
use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra, gateway_with_tools};

/// Issues keys once a person has signed in.
#[derive(Debug)]
struct SignInProvider(Arc<AtomicBool>);

#[async_trait]
impl CredentialProvider for SignInProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("profile")
    }

    async fn provide(&self) -> Result<Credentials> {
        if self.0.load(Ordering::Acquire) {
            return Canary::new().credentials(Expiry::Never);
        }
        Err(Error::new(ErrorKind::InteractionRequired, "the sign-in of the profile has ended")
            .with_next_step("run `aws sso login --profile dev`"))
    }
}

async fn open(era: ProtocolEra, capabilities: Value) -> (GatewayClientFixture, Arc<AtomicBool>) {
    open_with(era, capabilities, |gateway| gateway).await
}

async fn open_with(
    era: ProtocolEra,
    capabilities: Value,
    describe: impl FnOnce(Gateway) -> Gateway,
) -> (GatewayClientFixture, Arc<AtomicBool>) {
    let signed_in = Arc::new(AtomicBool::new(false));
    let session = SessionContext::builder().provider(SignInProvider(Arc::clone(&signed_in))).build();
    let gateway = describe(gateway_with_tools(&session, ToolSet::for_session(session.clone()), []).await);
    (GatewayClientFixture::serve_gateway(era, session, capabilities, gateway).await, signed_in)
}

fn params() -> Value {
    json!({"name": "refresh_aws_credentials", "arguments": {}})
}

#[tokio::test]
async fn expired_sign_in_is_requested_of_person_at_client() {
    for era in ERAS {
        let (mut client, signed_in) = open(era, json!({"elicitation": {}})).await;
        let (form, pending) = begin_call(&mut client, era, params()).await;
        let message = form["message"].as_str().unwrap();
        assert!(message.contains("`default`") && message.contains("aws sso login --profile dev"), "{form}");
        let refused = finish_call(&mut client, pending, params(), json!({"action": "decline"})).await;
        assert_eq!(refused["structuredContent"]["error"]["code"], "denied", "{refused}");

        let (form, pending) = begin_call(&mut client, era, params()).await;
        assert_eq!(form["requestedSchema"]["required"], json!(["done"]));
        signed_in.store(true, Ordering::Release);
        let done = json!({"action": "accept", "content": {"done": true}});
        let refreshed = finish_call(&mut client, pending, params(), done).await;
        assert!(refreshed["structuredContent"]["key_suffix"].is_string(), "{refreshed}");
    }
}

#[tokio::test]
async fn expired_sign_in_without_form_names_the_remedy() {
    for era in ERAS {
        let (mut client, _) = open(era, json!({})).await;
        let failed = client.call("refresh_aws_credentials", json!({})).await;
        assert_eq!(failed["structuredContent"]["error"]["code"], "interaction_required", "{failed}");
        assert!(failed.to_string().contains("aws sso login --profile dev"), "{failed}");
    }
}

#[tokio::test]
async fn expired_sign_in_is_confirmed_by_operator() {
    for capabilities in [json!({}), json!({"elicitation": {}})] {
        for era in ERAS {
            let requests = AccessRequests::new();
            let listed = requests.clone();
            let with_requests = |gateway: Gateway| gateway.with_access_requests(listed);
            let (mut client, signed_in) = open_with(era, capabilities.clone(), with_requests).await;
            let id = client.send_request("tools/call", params()).await;
            crate::process::wait_until("a request waits", || requests.waiting() == 1).await;
            signed_in.store(true, Ordering::Release);
            requests.approve(&requests.list()[0].id, DecisionChannel::Terminal).unwrap();
            if capabilities == json!({}) {
                let refreshed = client.receive_response(&id).await;
                assert!(refreshed["result"]["structuredContent"]["key_suffix"].is_string(), "{refreshed}");
            }
            assert_eq!(requests.list(), []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn expired_sign_in_without_operator_names_the_remedy() {
    for era in ERAS {
        let requests = AccessRequests::new();
        let listed = requests.clone();
        let (mut client, _) = open_with(era, json!({}), |gateway| gateway.with_access_requests(listed)).await;
        let failed = client.call("refresh_aws_credentials", json!({})).await;
        assert_eq!(failed["structuredContent"]["error"]["code"], "interaction_required", "{failed}");
        assert!(failed.to_string().contains("aws sso login --profile dev"), "{failed}");
        assert_eq!(requests.list(), [], "it no longer waits");
    }
}
