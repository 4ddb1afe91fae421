//! Credentials that need a sign-in: the person is requested to make it, and nothing else makes it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use valetkey_core::testing::Canary;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Expiry, Result, SessionContext};
use valetkey_tools::{AccessDecision, AccessRequest, Approver, SignInRequest, ToolOutput, ToolSet};

use crate::fixture::{REFRESH_CREDENTIALS, error_json};

/// Issues keys once a person has signed in.
#[derive(Debug, Default)]
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

/// What a person does who is requested to sign in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Response {
    SignsIn,
    /// States the sign-in without having made it.
    States,
    Refuses,
    IsSilent,
}

struct PersonFixture {
    response: Response,
    signed_in: Arc<AtomicBool>,
    requests: AtomicUsize,
}

#[async_trait]
impl Approver for PersonFixture {
    async fn decide(&self, _: &AccessRequest) -> Result<AccessDecision> {
        Err(Error::not_configured("access is not what is requested"))
    }

    async fn sign_in(&self, request: &SignInRequest) -> Result<()> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let message = request.to_message();
        assert!(
            message.contains("`default`") && message.contains("aws sso login --profile dev"),
            "{message}"
        );
        match self.response {
            Response::SignsIn => self.signed_in.store(true, Ordering::Release),
            Response::States => {}
            Response::Refuses => return Err(Error::new(ErrorKind::Denied, "the person did not sign in")),
            Response::IsSilent => std::future::pending().await,
        }
        Ok(())
    }
}

fn fixture(response: Response) -> (SessionContext, ToolSet, PersonFixture) {
    let signed_in = Arc::new(AtomicBool::new(false));
    let session = SessionContext::builder().provider(SignInProvider(Arc::clone(&signed_in))).build();
    let tools = ToolSet::for_session(session.clone());
    (session, tools, PersonFixture { response, signed_in, requests: AtomicUsize::new(0) })
}

async fn refresh(tools: &ToolSet, person: &PersonFixture) -> ToolOutput {
    tools.call_with(REFRESH_CREDENTIALS, json!({}), person).await.unwrap()
}

#[tokio::test]
async fn refresh_after_sign_in_of_person_has_credentials() {
    let (session, tools, person) = fixture(Response::SignsIn);
    let output = refresh(&tools, &person).await;
    assert!(!output.is_error, "{}", output.text);
    assert!(session.credentials().await.is_ok());
    assert!(!refresh(&tools, &person).await.is_error);
    assert_eq!(person.requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn refresh_without_person_or_sign_in_names_the_remedy() {
    let (_session, tools, person) = fixture(Response::States);
    let unreached = tools.call(REFRESH_CREDENTIALS, json!({})).await.unwrap();
    for output in [unreached, refresh(&tools, &person).await] {
        assert_eq!(error_json(&output)["code"], "interaction_required", "{}", output.text);
        assert!(output.text.contains("aws sso login --profile dev"), "{}", output.text);
    }
    assert_eq!(person.requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn refresh_disturbs_person_three_times_at_most() {
    let (_session, tools, person) = fixture(Response::Refuses);
    for code in ["denied", "denied", "denied", "interaction_required", "interaction_required"] {
        assert_eq!(error_json(&refresh(&tools, &person).await)["code"], code);
    }
    assert_eq!(person.requests.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn refresh_waits_for_one_person_until_session_ends() {
    let (session, tools, person) = fixture(Response::IsSilent);
    let mut waiting = Box::pin(refresh(&tools, &person));
    assert!((&mut waiting).now_or_never().is_none());
    let second = refresh(&tools, &person).await;
    assert_eq!(error_json(&second)["code"], "interaction_required");
    session.close();
    assert_eq!(error_json(&waiting.await)["code"], "closed");
    assert_eq!(person.requests.load(Ordering::Relaxed), 1);
}
