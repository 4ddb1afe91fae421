//! `ScopedProvider`: its request, the responses that it refuses, and sessions that it narrows.
//!
//! No emulator knows the operation. The responses here follow the model that AWS publishes (`real::scoped_model` compares them
//! with it); that AWS enforces the policy is not shown, nor could it be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use valetkey_backends::{
    AwsClientConfig, MemoryProvider, ScopedBuilder, ScopedProvider, SessionTokenProvider, StsKeyExchange,
};
use valetkey_core::{
    AccessScope, Attribution, Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry, KeyExchange,
    SecretString, SessionContext, SystemClock,
};

use crate::http_fixture::{HttpFixture, issued_response, refused};
use crate::loopback_fixture::LoopbackFixture;
use crate::{long_lived, memory_source, policy_allowing, policy_json, region, static_source};

const OPERATION: &str = "GetScopedCredentials";
const SOURCE_KEY_ID: &str = "ASIAI44QH8DHBEXAMPLE";
const SOURCE_TOKEN: &str = "source-token";
const KEYS: [&str; 3] = ["ASIAIOSFODNN7EXAMPLE", "scoped-secret", "scoped-token"];

/// The identity of the session, as STS reports it.
pub(crate) const SCOPED_SESSION: &str = "<SessionInfo><Arn>arn:aws:sts::222222222222:assumed-role/agent/job-7\
    </Arn><ScopedSessionId>AROAEXAMPLE:job-7</ScopedSessionId></SessionInfo>";

/// Temporary credentials with this expiry.
pub(crate) fn temporary_credentials(expiry: Expiry) -> Credentials {
    let secret = SecretString::from("source-secret");
    let set = Credentials::builder(SOURCE_KEY_ID.parse().unwrap(), secret).region(region("eu-north-1"));
    set.session_token(SecretString::from(SOURCE_TOKEN)).expiry(expiry).build().unwrap()
}

fn expiry_in(seconds: u64) -> Expiry {
    Expiry::At(SystemClock.now() + Duration::from_secs(seconds))
}

fn granting_http() -> HttpFixture {
    HttpFixture::responding(200, issued_response(OPERATION, SCOPED_SESSION, KEYS))
}

fn scoped_builder(http: &HttpFixture) -> ScopedBuilder {
    ScopedProvider::builder(memory_source(temporary_credentials(Expiry::Never)))
        .client_config(&http.client_config())
}

#[tokio::test]
async fn scoped_request_sends_policy_and_duration_only() {
    let http = granting_http();
    let provider = scoped_builder(&http).session_duration(Duration::from_secs(900)).build().unwrap();
    let set = provider.scope_down(&policy_allowing("s3:Get*")).unwrap().provide().await.unwrap();
    assert_eq!(set.expose_secret_access_key(), "scoped-secret");
    assert_eq!(set.expose_session_token(), Some("scoped-token"));
    assert_eq!(set.expiry().to_string(), "2099-01-01T00:00:00Z");
    assert_eq!(set.account_id().unwrap().as_str(), "222222222222");
    assert_eq!((set.region().unwrap().as_str(), set.provider()), ("eu-north-1", "scoped"));

    let sent = &http.requests()[0];
    let policy = policy_json("s3:Get*");
    let fields =
        [("Action", OPERATION), ("Version", "2011-06-15"), ("Policy", &policy), ("DurationSeconds", "900")];
    sent.assert_form(&fields);
    assert_eq!(sent.uri, "https://sts.us-east-1.amazonaws.com/", "never the global endpoint");
    assert_eq!(sent.headers["content-length"], sent.body.len().to_string());
    assert_eq!(sent.headers["x-amz-security-token"], SOURCE_TOKEN);
    let signed = &sent.headers["authorization"];
    assert!(
        signed.contains(&format!("Credential={SOURCE_KEY_ID}/")) && signed.contains("/us-east-1/sts/"),
        "{signed}"
    );
}

#[tokio::test]
async fn scoped_description_is_sent_and_carries_attribution() {
    let http = granting_http();
    scoped_builder(&http)
        .policy(policy_allowing("s3:*"))
        .description("reads é & \"logs\"+1")
        .build()
        .unwrap()
        .provide()
        .await
        .unwrap();
    assert_eq!(http.requests()[0].form()["ScopedSessionDescription"], "reads é & \"logs\"+1");
    let session = SessionContext::builder().principal("alice".parse().unwrap()).build();
    let who = Attribution::for_session(&session);
    let provider = scoped_builder(&http).attribution(&who).build().unwrap();
    let narrowed = provider.scope_down(&policy_allowing("s3:Get*")).unwrap();
    narrowed.provide().await.unwrap();
    let expected = format!("valetkey:principal=alice valetkey:session={}", session.id());
    assert_eq!(http.requests()[1].form()["ScopedSessionDescription"], expected);
}

#[test]
fn scoped_description_outside_the_model_is_refused() {
    let build = |text: &str| scoped_builder(&granting_http()).description(text).build().map(drop);
    for good in ["ab", &"é".repeat(256), "a\tb\r\nc"] {
        build(good).unwrap();
    }
    for bad in ["", "a", &"a".repeat(257), "a\u{7f}b", "a\u{a0}b", "a\u{100}b", "a\u{0}b"] {
        let error = build(bad).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("description")), "{bad:?}");
    }
}

#[tokio::test]
async fn scoped_credentials_with_policy_count_are_taken() {
    let count = format!("{SCOPED_SESSION}<ScopedPoliciesCount>3</ScopedPoliciesCount>");
    let http = HttpFixture::responding(200, issued_response(OPERATION, &count, KEYS));
    scoped_builder(&http).policy(policy_allowing("s3:*")).build().unwrap().provide().await.unwrap();
    // A duration alone adds no policy.
    let none = format!("{SCOPED_SESSION}<ScopedPoliciesCount>0</ScopedPoliciesCount>");
    let http = HttpFixture::responding(200, issued_response(OPERATION, &none, KEYS));
    scoped_builder(&http)
        .session_duration(Duration::from_secs(900))
        .build()
        .unwrap()
        .provide()
        .await
        .unwrap();
}

#[tokio::test]
async fn scoped_ended_source_is_not_invalid() {
    for (code, kind) in [
        ("InsufficientSessionLifetime", ErrorKind::Unavailable),
        ("InvalidSubjectCredentials", ErrorKind::Expired),
    ] {
        for code in [code.to_owned(), format!("{code}Exception")] {
            let http = HttpFixture::responding(400, refused(&code, ""));
            let error = scoped_builder(&http)
                .policy(policy_allowing("s3:*"))
                .build()
                .unwrap()
                .provide()
                .await
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
    }
}

#[tokio::test]
async fn scoped_without_parameters_returns_source_credentials() {
    let http = granting_http();
    let set = scoped_builder(&http).build().unwrap().provide().await.unwrap();
    assert_eq!(
        (set.access_key_id().as_str(), set.expose_session_token()),
        (SOURCE_KEY_ID, Some(SOURCE_TOKEN))
    );
    assert!(http.requests().is_empty());
}

#[tokio::test]
async fn scoped_long_lived_or_empty_source_fails_before_call() {
    let http = granting_http();
    let keys = Credentials::builder(crate::KEY_ID.parse().unwrap(), SecretString::from("secret"));
    let with_a_token = keys.session_token(SecretString::from("stray")).build().unwrap();
    for (source, reason) in [
        (static_source(), "long-lived"),
        (Arc::new(MemoryProvider::from(with_a_token)) as _, "long-lived"),
        (Arc::new(MemoryProvider::new()) as _, "no credentials"),
    ] {
        let builder = || ScopedProvider::builder(Arc::clone(&source)).client_config(&http.client_config());
        for builder in [builder(), builder().policy(policy_allowing("s3:*"))] {
            let error = builder.build().unwrap().provide().await.unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("source")), "{error}");
            assert!(error.message().contains(reason) && error.next_step().is_some(), "{error}");
            assert_eq!(error.provider(), Some("scoped"));
        }
    }
    assert!(http.requests().is_empty());
}

#[tokio::test]
async fn scoped_nested_policies_are_intersected_in_one_call() {
    let http = granting_http();
    let provider = scoped_builder(&http).policy(policy_allowing("s3:*")).build().unwrap();
    let narrowed = provider.scope_down(&policy_allowing("s3:Get*")).unwrap();
    narrowed.scope_down(&policy_allowing("s3:GetObject")).unwrap().provide().await.unwrap();
    let sent = http.requests();
    assert_eq!((sent.len(), &sent[0].form()["Policy"]), (1, &policy_json("s3:GetObject")));
    assert!(
        sent[0].headers["authorization"].contains(SOURCE_KEY_ID),
        "it is the source's set that is scoped down"
    );
    let error = narrowed.scope_down(&policy_allowing("ec2:*")).unwrap_err();
    assert_eq!(
        (error.kind(), error.field(), error.provider()),
        (ErrorKind::Invalid, Some("policy"), Some("scoped"))
    );
}

#[tokio::test]
async fn scoped_expiry_never_exceeds_source_expiry() {
    for (left_of_source, asked) in [(7_200, Some("3600")), (3_000, None)] {
        let (http, expiry) = (granting_http(), expiry_in(left_of_source));
        let builder = || {
            ScopedProvider::builder(memory_source(temporary_credentials(expiry)))
                .client_config(&http.client_config())
        };
        let timed = || builder().session_duration(Duration::from_secs(3_600));
        let set = timed().policy(policy_allowing("s3:*")).build().unwrap().provide().await.unwrap();
        assert_eq!(http.requests()[0].form().get("DurationSeconds").map(String::as_str), asked);
        let expires_at = set.expiry().instant().unwrap();
        let source_ends = expiry.instant().unwrap();
        assert!(
            expires_at <= source_ends && expires_at + Duration::from_secs(1) > source_ends,
            "{expires_at:?} {source_ends:?}"
        );

        // Where a duration is all that is wanted, a source that ends first is scoped enough.
        timed().build().unwrap().provide().await.unwrap();
        assert_eq!(http.requests().len(), if asked.is_some() { 2 } else { 1 });
    }
}

/// What an STS might say that does not know the operation, or heeds no policy.
fn responses_not_scoped_down() -> Vec<String> {
    let federated = "<FederatedUser><FederatedUserId>222222222222:a</FederatedUserId>\
        <Arn>arn:aws:sts::222222222222:federated-user/a</Arn></FederatedUser>";
    let whole = issued_response(OPERATION, SCOPED_SESSION, KEYS);
    vec![
        issued_response("GetSessionToken", "", KEYS),
        issued_response("GetSessionToken", SCOPED_SESSION, KEYS),
        issued_response("GetFederationToken", federated, KEYS),
        issued_response("GetFederationToken", SCOPED_SESSION, KEYS),
        issued_response(OPERATION, "", KEYS),
        issued_response(OPERATION, federated, KEYS),
        issued_response(OPERATION, "<SessionInfo/>", KEYS),
        issued_response(OPERATION, &SCOPED_SESSION.replace("arn:aws", "aws"), KEYS),
        issued_response(OPERATION, &SCOPED_SESSION.replace("AROAEXAMPLE:job-7", ""), KEYS),
        issued_response(OPERATION, &format!("<!-- {SCOPED_SESSION} -->"), KEYS),
        issued_response(OPERATION, &SCOPED_SESSION.replace("SessionInfo", "ScopedSession"), KEYS),
        issued_response(
            OPERATION,
            &format!("{SCOPED_SESSION}<ScopedPoliciesCount>0</ScopedPoliciesCount>"),
            KEYS,
        ),
        issued_response(OPERATION, SCOPED_SESSION, [KEYS[0], KEYS[1], SOURCE_TOKEN]),
        whole.replace("GetScopedCredentialsResponse", "GetSessionTokenResponse"),
        whole.replace("GetScopedCredentialsResult", "GetSessionTokenResult"),
        format!(
            "<{OPERATION}Response><{OPERATION}Result>{SCOPED_SESSION}</{OPERATION}Result></{OPERATION}Response>"
        ),
    ]
}

fn assert_not_scoped_down(error: &Error) {
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("policy")), "{error}");
    assert_eq!(error.provider(), Some("scoped"));
    assert!(error.next_step().unwrap().contains(OPERATION), "{error:?}");
    assert!(!format!("{error:?}").contains("scoped-secret"), "{error:?}");
}

#[tokio::test]
async fn scoped_response_without_proof_is_invalid() {
    for answer in responses_not_scoped_down() {
        let http = HttpFixture::responding(200, &answer);
        let provider = scoped_builder(&http).policy(policy_allowing("s3:*")).build().unwrap();
        match provider.provide().await {
            Err(error) => assert_not_scoped_down(&error),
            Ok(_) => panic!("taken for an answer: {answer}"),
        }
        assert_eq!(http.requests().len(), 1);
    }
}

#[tokio::test]
async fn scoped_unreadable_response_is_transient() {
    let half = issued_response(OPERATION, SCOPED_SESSION, KEYS).replace("2099-01-01T00:00:00Z", "");
    for body in ["", "<html><p>sign in</p></html>", "hello", "<\u{0}", &half] {
        let http = HttpFixture::responding(200, body);
        let error = scoped_builder(&http)
            .policy(policy_allowing("s3:*"))
            .build()
            .unwrap()
            .provide()
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.provider()),
            (ErrorKind::Unavailable, Some("scoped")),
            "{body}: {error}"
        );
    }
}

#[tokio::test]
async fn scoped_unknown_operation_differs_from_bad_policy() {
    for (code, step) in [("InvalidAction", "knows the operation"), ("MalformedPolicyDocument", "policy")] {
        let http = HttpFixture::responding(400, refused(code, "Could not find operation"));
        let error = scoped_builder(&http)
            .policy(policy_allowing("s3:*"))
            .build()
            .unwrap()
            .provide()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains(OPERATION) && error.message().contains(code), "{error}");
        assert!(error.next_step().unwrap().contains(step), "{error:?}");
    }
}

#[tokio::test]
async fn scoped_retry_sends_same_request() {
    let attempts = AtomicUsize::new(0);
    let http = HttpFixture::with_reply(move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => Some((503, refused("ServiceUnavailable", ""))),
        _ => Some((200, issued_response(OPERATION, SCOPED_SESSION, KEYS))),
    });
    scoped_builder(&http).policy(policy_allowing("s3:*")).build().unwrap().provide().await.unwrap();
    let [first, second] = [0, 1].map(|n| http.requests()[n].form());
    assert_eq!(first, second);
    assert_eq!((http.requests().len(), &*second["Action"]), (2, OPERATION));
}

/// A fake STS that knows the operation, behind the SDK's real HTTP client.
fn sts_response(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    let fields = ["Action=GetScopedCredentials&", "Version=2011-06-15&", "Policy=%7B%22Version%22"];
    let asked = head.starts_with("post / ")
        && head.contains("content-type: application/x-www-form-urlencoded")
        && head.contains(&format!("x-amz-security-token: {SOURCE_TOKEN}"))
        && fields.iter().all(|field| body.contains(field));
    if asked { issued_response(OPERATION, SCOPED_SESSION, KEYS) } else { refused("InvalidAction", "") }
}

#[tokio::test]
async fn scoped_session_over_http_serves_only_scoped_child() {
    let http = LoopbackFixture::with_response(200, sts_response).await;
    let provider = ScopedProvider::builder(memory_source(temporary_credentials(Expiry::Never)))
        .client_config(&http.client_config());
    let session = SessionContext::builder().provider(provider.build().unwrap()).build();
    let child = session.narrow(AccessScope::new().policy(policy_allowing("s3:*"))).unwrap();
    assert_eq!(child.credentials().await.unwrap().access_key_id().as_str(), KEYS[0]);
    assert_eq!(session.credentials().await.unwrap().access_key_id().as_str(), SOURCE_KEY_ID);
    child
        .narrow(AccessScope::new().policy(policy_allowing("s3:GetObject")))
        .unwrap()
        .credentials()
        .await
        .unwrap();
    let sent = http.requests_text();
    assert_eq!(sent.matches("Action=GetScopedCredentials").count(), 2, "{sent}");
    assert_eq!(sent.matches("s3%3AGetObject").count(), 1, "{sent}");
    let error = child.narrow(AccessScope::new().policy(policy_allowing("ec2:*"))).unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Invalid, Some("scoped")), "{error}");
    session.close();
    assert_eq!(child.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn scoped_child_of_sts_ignoring_policy_is_refused() {
    for answer in responses_not_scoped_down() {
        let http = LoopbackFixture::responding(200, answer).await;
        let provider = ScopedProvider::builder(memory_source(temporary_credentials(Expiry::Never)))
            .client_config(&http.client_config());
        let session = SessionContext::builder().provider(provider.build().unwrap()).build();
        let child = session.narrow(AccessScope::new().policy(policy_allowing("s3:*"))).unwrap();
        assert_not_scoped_down(&child.credentials().await.unwrap_err());
        assert_eq!(session.credentials().await.unwrap().access_key_id().as_str(), SOURCE_KEY_ID);
    }
}

/// Scopes down what another guard uses.
#[derive(Debug)]
struct ScopedKeyExchange {
    inner: StsKeyExchange,
    base: AwsClientConfig,
}

impl ScopedKeyExchange {
    fn scope_down_source(&self, source: Arc<dyn CredentialProvider>) -> Arc<dyn CredentialProvider> {
        Arc::new(ScopedProvider::builder(source).client_config(&self.base).build().unwrap())
    }
}

impl KeyExchange for ScopedKeyExchange {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        self.scope_down_source(self.inner.provider())
    }

    fn exchange_for(&self, given: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        self.inner.exchange_for(given).map(|exchange| self.scope_down_source(exchange))
    }
}

#[tokio::test]
async fn scoped_guarded_account_exchanges_before_scoping() {
    let exchanged = ["ASIAI44QH8DHBEXCHNGD", "exchanged-secret", "exchanged-token"];
    let http = HttpFixture::with_reply(move |sent| match &*sent.form()["Action"] {
        OPERATION => Some((200, issued_response(OPERATION, SCOPED_SESSION, KEYS))),
        other => Some((200, issued_response(other, "", exchanged))),
    });
    let inner =
        SessionTokenProvider::builder(Arc::new(MemoryProvider::new())).client_config(&http.client_config());
    let guard = ScopedKeyExchange { inner: inner.build_key_exchange().unwrap(), base: http.client_config() };
    let session = SessionContext::builder().exchange_static_keys(guard).build();
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    let child = session.narrow(AccessScope::new().policy(policy_allowing("s3:*"))).unwrap();
    assert_eq!(child.credentials().await.unwrap().access_key_id().as_str(), KEYS[0]);
    assert_eq!(session.credentials().await.unwrap().access_key_id().as_str(), exchanged[0]);
    let scoped = http.requests().into_iter().find(|sent| sent.form()["Action"] == OPERATION).unwrap();
    assert_eq!(scoped.headers["x-amz-security-token"], "exchanged-token");
}

#[test]
fn scoped_without_region_is_invalid() {
    let error = ScopedProvider::builder(static_source()).build().unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("region")), "{error}");
    assert_eq!(error.provider(), Some("scoped"));
}

proptest! {
    #[test]
    fn scoped_duration_limits_1_s_to_36_h(seconds in prop_oneof![0_u64..3, 129_598_u64..129_603, 0_u64..200_000]) {
        let built = scoped_builder(&granting_http()).session_duration(Duration::from_secs(seconds)).build();
        prop_assert_eq!(built.is_ok(), (1..=129_600).contains(&seconds));
        if let Err(error) = built {
            prop_assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("duration")));
            prop_assert!(error.message().contains("1 to 129,600"));
        }
    }
}
