//! `SessionTokenProvider` and `FederationTokenProvider`: their requests, and the keys that they refuse to exchange.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use valetkey_backends::{
    AssumeRoleProvider, FederationTokenBuilder, FederationTokenProvider, MemoryProvider, SessionTokenBuilder,
    SessionTokenProvider,
};
use valetkey_core::testing::Canary;
use valetkey_core::{
    AccessScope, CredentialProvider, Credentials, ErrorKind, Expiry, KeyExchange, SecretString,
    SessionContext,
};

use crate::http_fixture::{HttpFixture, issued_response};
use crate::{long_lived, memory_source, region, static_source};

const OTHER_KEY_ID: &str = "AKIAI44QH8DHBEXAMPLE";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;
const SERIAL: &str = "arn:aws:iam::111111111111:mfa/alice";
const KEYS: [&str; 3] = ["ASIAIOSFODNN7EXAMPLE", "issued-secret", "issued-token"];
const FEDERATED: &str = "<FederatedUser><FederatedUserId>111111111111:alice</FederatedUserId>\
    <Arn>arn:aws:sts::111111111111:federated-user/alice</Arn></FederatedUser>\
    <PackedPolicySize>6</PackedPolicySize>";

fn granting_http() -> HttpFixture {
    HttpFixture::responding(200, issued_response("GetSessionToken", "", KEYS))
}

fn session_token_builder(http: &HttpFixture, source: Arc<dyn CredentialProvider>) -> SessionTokenBuilder {
    SessionTokenProvider::builder(source).client_config(&http.client_config())
}

fn federation_token_builder(http: &HttpFixture, name: &str) -> FederationTokenBuilder {
    FederationTokenProvider::builder(name, static_source()).client_config(&http.client_config())
}

fn temporary_credentials() -> Credentials {
    Canary::new().credentials(Expiry::Never).unwrap()
}

async fn mfa_code() -> valetkey_core::Result<SecretString> {
    Ok(SecretString::from(" 123456\n"))
}

#[tokio::test]
async fn session_token_request_and_response_map_fields() {
    let http = granting_http();
    let plain = session_token_builder(&http, static_source()).build().unwrap();
    let credentials = plain.provide().await.unwrap();
    assert_eq!(credentials.expose_secret_access_key(), "issued-secret");
    assert_eq!(credentials.expose_session_token(), Some("issued-token"));
    assert_eq!(credentials.expiry().to_string(), "2099-01-01T00:00:00Z");
    assert_eq!(credentials.provider(), "federation");
    let timed = session_token_builder(&http, static_source())
        .session_duration(Duration::from_secs(129_600))
        .mfa(SERIAL, mfa_code)
        .build()
        .unwrap();
    timed.provide().await.unwrap();
    let sent = http.requests();
    let operation = [("Action", "GetSessionToken"), ("Version", "2011-06-15")];
    sent[0].assert_form(&operation);
    let more = [("DurationSeconds", "129600"), ("SerialNumber", SERIAL), ("TokenCode", "123456")];
    sent[1].assert_form(&[&operation[..], &more].concat());
    let signed = &http.requests()[0].headers["authorization"];
    assert!(signed.contains(&format!("Credential={}/", crate::KEY_ID)), "{signed}");
}

#[tokio::test]
async fn federation_token_all_fields_reach_sts() {
    let http = HttpFixture::responding(200, issued_response("GetFederationToken", FEDERATED, KEYS));
    federation_token_builder(&http, "alice").build().unwrap().provide().await.unwrap();
    let provider = federation_token_builder(&http, "alice")
        .session_duration(Duration::from_secs(900))
        .policy(POLICY)
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .tag("team", "blue")
        .build()
        .unwrap();
    assert_eq!(provider.utilization(), None);
    let credentials = provider.provide().await.unwrap();
    assert_eq!(credentials.account_id().unwrap().as_str(), "111111111111");
    assert_eq!(credentials.expose_session_token(), Some("issued-token"));
    assert_eq!(provider.utilization(), Some(6));
    let sent = http.requests();
    let operation = [("Action", "GetFederationToken"), ("Version", "2011-06-15"), ("Name", "alice")];
    sent[0].assert_form(&operation);
    let more = [
        ("DurationSeconds", "900"),
        ("Policy", POLICY),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "blue"),
    ];
    sent[1].assert_form(&[&operation[..], &more].concat());
}

#[tokio::test]
async fn session_token_keeps_source_region_unless_overridden() {
    let id = crate::KEY_ID.parse().unwrap();
    let keys = Credentials::builder(id, SecretString::from("not-a-real-secret"))
        .account_id("333333333333".parse().ok())
        .region(region("eu-north-1"))
        .build()
        .unwrap();
    let http = granting_http();
    let result =
        session_token_builder(&http, memory_source(keys.clone())).build().unwrap().provide().await.unwrap();
    let named = session_token_builder(&http, memory_source(keys))
        .region(region("us-west-2"))
        .build()
        .unwrap()
        .provide()
        .await
        .unwrap();
    for set in [&result, &named] {
        assert_eq!(set.account_id().unwrap().as_str(), "333333333333");
    }
    assert_eq!(result.region().unwrap().as_str(), "eu-north-1");
    assert_eq!(named.region().unwrap().as_str(), "us-west-2");
    let uris: Vec<_> = http.requests().into_iter().map(|sent| sent.uri).collect();
    assert_eq!(uris, ["https://sts.us-east-1.amazonaws.com/", "https://sts.us-west-2.amazonaws.com/"]);
}

#[tokio::test]
async fn federation_temporary_source_refused_or_passed_through() {
    let (http, set) = (granting_http(), temporary_credentials());
    let refusing = session_token_builder(&http, memory_source(set.clone())).build().unwrap();
    let federating = FederationTokenProvider::builder("alice", memory_source(set.clone()))
        .client_config(&http.client_config());
    let federating = federating.build().unwrap();
    for provider in [&refusing as &dyn CredentialProvider, &federating] {
        let error = provider.provide().await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("source")), "{error}");
        assert!(error.next_step().unwrap().contains("long-lived"), "{error}");
    }
    let passing = session_token_builder(&http, memory_source(set.clone())).allow_temporary().build().unwrap();
    assert_eq!(passing.provide().await.unwrap().access_key_id(), set.access_key_id());
    assert!(http.requests().is_empty());
    let exchanging = session_token_builder(&http, static_source()).allow_temporary().build().unwrap();
    assert!(exchanging.provide().await.unwrap().has_session_token(), "keys are exchanged all the same");
}

#[tokio::test]
async fn federation_empty_source_is_invalid() {
    let http = granting_http();
    let provider =
        session_token_builder(&http, Arc::new(MemoryProvider::new())).allow_temporary().build().unwrap();
    let error = provider.provide().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("source")));
    assert!(http.requests().is_empty());
}

/// The seam of exchange: whatever comes to a guarded account, no long-lived key leaves it.
#[tokio::test]
async fn guarded_account_set_keys_are_exchanged_never_served() {
    let http = granting_http();
    let guard = session_token_builder(&http, Arc::new(MemoryProvider::new())).build_key_exchange().unwrap();
    let session = SessionContext::builder().exchange_static_keys(guard).build();
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    for key in [crate::KEY_ID, OTHER_KEY_ID] {
        session.set_credentials(long_lived(key)).unwrap();
        assert!(session.current().is_none());
        for _ in 0..2 {
            assert_eq!(session.credentials().await.unwrap().access_key_id().as_str(), KEYS[0]);
        }
    }
    session.refresh().await.unwrap();
    let signers: Vec<_> = http.requests().iter().map(|sent| sent.headers["authorization"].clone()).collect();
    let signed = [crate::KEY_ID, OTHER_KEY_ID, OTHER_KEY_ID];
    assert_eq!(signers.len(), signed.len(), "one exchange for each of the keys, and one refresh");
    assert!(signers.iter().zip(signed).all(|(signer, key)| signer.contains(key)), "{signers:?}");

    let set = temporary_credentials();
    session.set_credentials(set.clone()).unwrap();
    assert_eq!(session.credentials().await.unwrap().access_key_id(), set.access_key_id(), "handed on");
    session.clear();
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[tokio::test]
async fn guarded_account_source_keys_are_exchanged_or_denied() {
    let http = granting_http();
    let session = SessionContext::builder()
        .exchange_static_keys(session_token_builder(&http, static_source()).build_key_exchange().unwrap())
        .build();
    assert_eq!(session.credentials().await.unwrap().access_key_id().as_str(), KEYS[0]);
    let refusing = HttpFixture::responding(403, crate::http_fixture::refused("InvalidClientTokenId", ""));
    let session = SessionContext::builder()
        .exchange_static_keys(
            session_token_builder(&refusing, Arc::new(MemoryProvider::new())).build_key_exchange().unwrap(),
        )
        .build();
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    let error = session.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Denied, Some("federation")));
    assert!(session.current().is_none(), "what could not be exchanged is not served in its stead");
}

#[tokio::test]
async fn guarded_account_keys_with_stray_token_not_served() {
    let refusing = HttpFixture::responding(403, crate::http_fixture::refused("InvalidClientTokenId", ""));
    let id = crate::KEY_ID.parse().unwrap();
    let keys = Credentials::builder(id, SecretString::from("not-a-real-secret"));
    let keys = keys.session_token(SecretString::from("none")).build().unwrap();
    let guard =
        session_token_builder(&refusing, Arc::new(MemoryProvider::new())).build_key_exchange().unwrap();
    let session = SessionContext::builder().exchange_static_keys(guard).build();
    session.set_credentials(keys.clone()).unwrap();
    assert!(session.current().is_none());
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::Denied);
    let guarded = session_token_builder(&refusing, memory_source(keys)).build_key_exchange().unwrap();
    assert_eq!(guarded.provider().provide().await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn guarded_account_narrowed_keys_use_federation_token() {
    let http = HttpFixture::responding(200, issued_response("GetFederationToken", FEDERATED, KEYS));
    let guard = session_token_builder(&http, Arc::new(MemoryProvider::new())).build_key_exchange().unwrap();
    let session = SessionContext::builder().exchange_static_keys(guard).build();
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
    let child = session.narrow(AccessScope::new().policy(policy.parse().unwrap())).unwrap();
    assert_eq!(child.credentials().await.unwrap().access_key_id().as_str(), KEYS[0]);
    let sent = http.requests()[0].form();
    assert_eq!(&*sent["Action"], "GetFederationToken");
    assert!(sent["Policy"].contains("s3:Get*"));
}

#[tokio::test]
async fn guarded_account_narrowed_role_uses_assume_role() {
    let http =
        HttpFixture::responding(200, crate::http_fixture::assume_role_response(KEYS[0], KEYS[1], KEYS[2]));
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let role = AssumeRoleProvider::builder(role, static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    let guard = session_token_builder(&http, Arc::new(role)).build_key_exchange().unwrap();
    let session = SessionContext::builder().exchange_static_keys(guard).build();
    session.credentials().await.unwrap();
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
    let child = session.narrow(AccessScope::new().policy(policy.parse().unwrap())).unwrap();
    child.credentials().await.unwrap();
    let sent = http.forms();
    assert!(sent.iter().all(|form| form["Action"] == "AssumeRole"), "{sent:?}");
    assert!(sent[1]["Policy"].contains("s3:Get*"));
}

fn assert_over_limit<T: std::fmt::Debug>(built: valetkey_core::Result<T>, field: &str, limit: &str) {
    let error = built.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
    assert_eq!(error.provider(), Some("federation"));
    assert!(error.message().contains(limit), "`{error}` does not name the limit {limit}");
}

#[test]
fn session_token_setting_over_limit_fails_build() {
    let http = granting_http();
    let builder = || session_token_builder(&http, static_source());
    for (duration, limit) in [
        (Duration::from_secs(899), "900 to 129,600"),
        (Duration::from_secs(129_601), "900 to 129,600"),
        (Duration::from_millis(900_500), "whole"),
    ] {
        assert_over_limit(builder().session_duration(duration).build(), "duration", limit);
    }
    for serial in ["12345678", "arn aws iam", &"s".repeat(257)] {
        assert_over_limit(builder().mfa(serial, mfa_code).build(), "mfa_serial", "9 to 256");
    }
    for serial in ["123456789", &"s".repeat(256), SERIAL] {
        builder().mfa(serial, mfa_code).build().unwrap();
    }
    assert_over_limit(SessionTokenProvider::builder(static_source()).build(), "region", "not known");
}

#[test]
fn federation_token_setting_over_limit_fails_build() {
    let http = granting_http();
    let alice = || federation_token_builder(&http, "alice");
    for name in ["a", &"a".repeat(33), "a b"] {
        assert_over_limit(federation_token_builder(&http, name).build(), "name", "2 to 32");
    }
    let long_policy = format!("{{\"a\":\"{}\"}}", "b".repeat(2_041));
    let many_tags = (0..51).fold(alice(), |builder, n| builder.tag(format!("key-{n}"), ""));
    for (builder, field, limit) in [
        (alice().session_duration(Duration::from_secs(899)), "duration", "900 to 129,600"),
        (alice().policy("[]"), "policy", "JSON object"),
        (alice().policy(long_policy), "policy", "2,048"),
        (alice().policy_arn("agent"), "policy_arns", "managed"),
        (alice().tag("aws:a", ""), "tags", "`aws:`"),
        (many_tags, "tags", "50"),
        (FederationTokenProvider::builder("alice", static_source()), "region", "not known"),
    ] {
        assert_over_limit(builder.build(), field, limit);
    }
}

proptest! {
    #[test]
    fn federation_random_settings_follow_limits_unechoed(
        text in "[a-zA-Z0-9_+=,.@:/ #-]{0,40}", seconds in 0_u64..140_000,
    ) {
        let http = granting_http();
        let plain = |marks: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
        let is_name = (2..=32).contains(&text.len()) && plain("_+=,.@-");
        prop_assert_eq!(federation_token_builder(&http, &text).build().is_ok(), is_name);
        let is_serial = (9..=256).contains(&text.len()) && plain("_+=/:,.@-");
        prop_assert_eq!(session_token_builder(&http, static_source()).mfa(&*text, mfa_code).build().is_ok(), is_serial);
        let duration = Duration::from_secs(seconds);
        let fits = (900..=129_600).contains(&seconds);
        prop_assert_eq!(session_token_builder(&http, static_source()).session_duration(duration).build().is_ok(), fits);
        prop_assert_eq!(federation_token_builder(&http, "alice").session_duration(duration).build().is_ok(), fits);
        for error in [
            federation_token_builder(&http, &format!("xyzzy#{text}")).build().unwrap_err(),
            session_token_builder(&http, static_source()).mfa(format!("xyzzy#{text}"), mfa_code).build().unwrap_err(),
        ] {
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains("xyzzy"), "{}", text);
        }
    }
}
