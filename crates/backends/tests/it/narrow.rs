//! Narrowed roles and exchanges: the policy that STS receives, and the requests that are refused before a call.

use std::sync::Arc;

use valetkey_backends::{
    AssumeRoleBuilder, AssumeRoleProvider, FederationTokenProvider, MemoryProvider, SessionTokenProvider,
    WebIdentityProvider,
};
use valetkey_core::testing::Canary;
use valetkey_core::{AccessScope, CredentialProvider, ErrorKind, Expiry, SecretString, SessionContext};

use crate::http_fixture::{HttpFixture, ROLE_SESSION, assume_role_response, issued_response};
use crate::{long_lived, memory_source, policy_allowing, policy_json, static_source};

fn role_builder(http: &HttpFixture) -> AssumeRoleBuilder {
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    AssumeRoleProvider::builder(role, static_source())
        .session_name("agent-7")
        .tag("team", "blue")
        .client_config(&http.client_config())
}

fn granting_http() -> HttpFixture {
    HttpFixture::responding(200, assume_role_response("ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"))
}

#[tokio::test]
async fn scope_down_role_adds_only_policy_to_request() {
    let http = granting_http();
    let role = role_builder(&http).build().unwrap();
    role.provide().await.unwrap();
    role.scope_down(&policy_allowing("s3:Get*")).unwrap().provide().await.unwrap();
    let [plain, mut narrowed] = [0, 1].map(|n| http.requests()[n].form());
    assert_eq!(narrowed.remove("Policy"), Some(policy_json("s3:Get*")));
    assert_eq!(narrowed, plain);
}

#[tokio::test]
async fn scope_down_role_intersects_own_policy() {
    let http = granting_http();
    let spaced = policy_json("s3:*").replace(':', " : ").replace("s3 : ", "s3:");
    let role = role_builder(&http).policy(spaced).build().unwrap();
    let narrowed = role.scope_down(&policy_allowing("s3:Get*")).unwrap();
    narrowed.scope_down(&policy_allowing("s3:GetObject")).unwrap().provide().await.unwrap();
    assert_eq!(http.requests()[0].form()["Policy"], policy_json("s3:GetObject"));
    let error = narrowed.scope_down(&policy_allowing("ec2:*")).unwrap_err();
    assert_eq!(
        (error.kind(), error.field(), error.provider()),
        (ErrorKind::Invalid, Some("policy"), Some("assume-role"))
    );
}

#[tokio::test]
async fn scope_down_incomparable_policy_fails_before_call() {
    let http = granting_http();
    let with_arn = || role_builder(&http).policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess");
    let not_action =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}]}"#;
    for (role, field) in [
        (with_arn(), "policy_arns"),
        (with_arn().policy(policy_json("s3:*")), "policy_arns"),
        (role_builder(&http).policy(not_action), "policy"),
        (role_builder(&http).policy(r#"{"Version":"2012-10-17","Statement":[]}"#), "policy"),
    ] {
        let error = role.build().unwrap().scope_down(&policy_allowing("s3:Get*")).unwrap_err();
        assert_eq!(
            (error.kind(), error.field(), error.provider()),
            (ErrorKind::Invalid, Some(field), Some("assume-role")),
            "{error}"
        );
        assert!(error.next_step().is_some(), "{error}");
    }
    assert!(http.requests().is_empty());
}

#[tokio::test]
async fn scope_down_static_keys_fail_role_succeeds() {
    let http = granting_http();
    let keys = Arc::new(MemoryProvider::from(long_lived(crate::KEY_ID)));
    let session = SessionContext::builder().provider(keys.clone()).build();
    let scope = || AccessScope::new().policy(policy_allowing("s3:Get*"));
    let error = session.narrow(scope()).unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Invalid, Some("memory")), "{error}");
    assert!(error.message().contains("`default`") && error.next_step().unwrap().contains("role"), "{error}");

    let session = SessionContext::builder().provider(role_builder(&http).build().unwrap()).build();
    let child = session.narrow(scope()).unwrap();
    child.credentials().await.unwrap();
    session.credentials().await.unwrap();
    assert_eq!(http.requests()[0].form()["Policy"], policy_json("s3:Get*"));
    assert!(!http.requests()[1].form().contains_key("Policy"));
}

#[tokio::test]
async fn scope_down_web_identity_adds_policy_to_request() {
    let keys = ["ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"];
    let http = HttpFixture::responding(200, issued_response("AssumeRoleWithWebIdentity", ROLE_SESSION, keys));
    let builder = || {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        WebIdentityProvider::builder(role, || async { Ok(SecretString::from("token")) })
            .client_config(&http.client_config())
    };
    let role = builder().policy(policy_json("s3:*")).session_name("job-7").build().unwrap();
    role.provide().await.unwrap();
    role.scope_down(&policy_allowing("s3:Get*")).unwrap().provide().await.unwrap();
    let [mut plain, narrowed] = [0, 1].map(|n| http.requests()[n].form());
    plain.insert("Policy".to_owned(), policy_json("s3:Get*"));
    assert_eq!(narrowed, plain);
    let error = role.scope_down(&policy_allowing("ec2:*")).unwrap_err();
    assert_eq!((error.field(), error.provider()), (Some("policy"), Some("web-identity")));
    let with_arn = builder().policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess").build().unwrap();
    assert_eq!(with_arn.scope_down(&policy_allowing("s3:Get*")).unwrap_err().field(), Some("policy_arns"));
}

#[tokio::test]
async fn scope_down_session_token_uses_federation_token() {
    let keys = ["ASIAIOSFODNN7EXAMPLE", "issued-secret", "issued-token"];
    let http = HttpFixture::responding(200, issued_response("GetFederationToken", "", keys));
    let plain =
        SessionTokenProvider::builder(static_source()).session_duration(std::time::Duration::from_secs(900));
    let plain = plain.client_config(&http.client_config()).build().unwrap();
    let federated = FederationTokenProvider::builder("alice", static_source())
        .policy(policy_json("s3:*"))
        .tag("team", "blue");
    let federated = federated.client_config(&http.client_config()).build().unwrap();
    for provider in [&plain as &dyn CredentialProvider, &federated] {
        let narrowed = provider.scope_down(&policy_allowing("s3:Get*")).unwrap();
        narrowed.scope_down(&policy_allowing("s3:GetObject")).unwrap().provide().await.unwrap();
    }
    let [plain_sent, federated_sent] = [0, 1].map(|n| http.requests()[n].form());
    for sent in [&plain_sent, &federated_sent] {
        assert_eq!((&*sent["Action"], &sent["Policy"]), ("GetFederationToken", &policy_json("s3:GetObject")));
    }
    assert_eq!((&*plain_sent["Name"], &*plain_sent["DurationSeconds"]), ("valetkey", "900"));
    assert_eq!((&*federated_sent["Name"], &*federated_sent["Tags.member.1.Value"]), ("alice", "blue"));
    assert_eq!(federated.scope_down(&policy_allowing("ec2:*")).unwrap_err().field(), Some("policy"));
}

#[tokio::test]
async fn scope_down_federation_with_mfa_or_arns_is_invalid() {
    let http = HttpFixture::responding(500, "");
    let code = || async { Ok(SecretString::from("123456")) };
    let with_mfa = SessionTokenProvider::builder(static_source())
        .mfa("GAHT12345678", code)
        .client_config(&http.client_config());
    let with_arn = FederationTokenProvider::builder("alice", static_source())
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .client_config(&http.client_config());
    let (with_mfa, with_arn) = (with_mfa.build().unwrap(), with_arn.build().unwrap());
    let providers: [(&dyn CredentialProvider, _); 2] = [(&with_mfa, "policy"), (&with_arn, "policy_arns")];
    for (provider, field) in providers {
        let error = provider.scope_down(&policy_allowing("s3:Get*")).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
        assert!(error.next_step().is_some() && error.provider() == Some("federation"), "{error}");
    }
    let temporary = memory_source(Canary::new().credentials(Expiry::Never).unwrap());
    let passing =
        SessionTokenProvider::builder(temporary).allow_temporary().client_config(&http.client_config());
    let narrowed = passing.build().unwrap().scope_down(&policy_allowing("s3:Get*")).unwrap();
    assert_eq!(
        narrowed.provide().await.unwrap_err().field(),
        Some("source"),
        "credentials that are not narrowed are not returned"
    );
    assert!(http.requests().is_empty());
}
