//! `AssumeRoleProvider`: the request for every field, and the credentials from the response.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::{
    AssumeRoleBuilder, AssumeRoleProvider, AwsClientConfig, EnvProvider, MemoryProvider, SdkConfigExt,
};
use valetkey_core::testing::{Canary, Script, ScriptedProvider};
use valetkey_core::{CredentialProvider, Error, ErrorKind, Expiry, ProviderChain, SessionContext};

use crate::http_fixture::{HttpFixture, ROLE_SESSION, assume_role_response, issued_response};
use crate::{long_lived, memory_source, region, static_source};

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn granting_http() -> HttpFixture {
    HttpFixture::responding(200, assume_role_response("ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"))
}

fn role_builder(http: &HttpFixture, source: Arc<dyn CredentialProvider>) -> AssumeRoleBuilder {
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    AssumeRoleProvider::builder(role, source).client_config(&http.client_config())
}

#[tokio::test]
async fn assume_role_all_fields_reach_sts() {
    let http = granting_http();
    let provider = role_builder(&http, static_source())
        .session_name("agent-7")
        .source_identity("alice@example.org")
        .external_id("ext/1")
        .session_duration(Duration::from_secs(900))
        .policy(POLICY)
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .tag("team", "blue + green")
        .tag("tier", "")
        .transitive_tag("team")
        .build()
        .unwrap();
    provider.provide().await.unwrap();
    let expected = [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn:aws:iam::222222222222:role/agent"),
        ("RoleSessionName", "agent-7"),
        ("SourceIdentity", "alice@example.org"),
        ("ExternalId", "ext/1"),
        ("DurationSeconds", "900"),
        ("Policy", POLICY),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "blue + green"),
        ("Tags.member.2.Key", "tier"),
        ("Tags.member.2.Value", ""),
        ("TransitiveTagKeys.member.1", "team"),
    ];
    http.requests()[0].assert_form(&expected);
}

#[tokio::test]
async fn assume_role_unset_fields_are_not_sent() {
    let http = granting_http();
    role_builder(&http, static_source()).build().unwrap().provide().await.unwrap();
    let sent = http.requests()[0].form();
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["Action", "RoleArn", "RoleSessionName", "Version"]);
    assert_eq!(sent["RoleSessionName"], "valetkey");
}

#[tokio::test]
async fn assume_role_response_maps_every_field() {
    let provider =
        role_builder(&granting_http(), static_source()).region(region("eu-central-1")).build().unwrap();
    let credentials = provider.provide().await.unwrap();
    assert_eq!(credentials.access_key_id().as_str(), "ASIAIOSFODNN7EXAMPLE");
    assert_eq!(credentials.expose_secret_access_key(), "role-secret");
    assert_eq!(credentials.expose_session_token(), Some("role-token"));
    assert_eq!(credentials.expiry().to_string(), "2099-01-01T00:00:00Z");
    assert_eq!(credentials.account_id().unwrap().as_str(), "222222222222");
    assert_eq!(credentials.region().unwrap().as_str(), "eu-central-1");
    assert_eq!(credentials.provider(), "assume-role");
}

#[tokio::test]
async fn assume_role_utilization_returns_last_percent() {
    let fields = format!("{ROLE_SESSION}<SessionTokenUtilization>40</SessionTokenUtilization>");
    let result =
        issued_response("AssumeRole", &fields, ["ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"]);
    let provider = role_builder(&HttpFixture::responding(200, result), static_source()).build().unwrap();
    assert_eq!(provider.utilization(), None);
    provider.provide().await.unwrap();
    assert_eq!(provider.utilization(), Some(40));
}

#[tokio::test]
async fn assume_role_own_endpoint_overrides_client_config() {
    let http = granting_http();
    role_builder(&http, static_source()).build().unwrap().provide().await.unwrap();
    role_builder(&http, static_source())
        .region(region("eu-west-1"))
        .build()
        .unwrap()
        .provide()
        .await
        .unwrap();
    role_builder(&http, static_source())
        .endpoint_url("http://vpc.example:9")
        .build()
        .unwrap()
        .provide()
        .await
        .unwrap();
    let uris: Vec<_> = http.requests().into_iter().map(|sent| sent.uri).collect();
    assert_eq!(
        uris,
        [
            "https://sts.us-east-1.amazonaws.com/",
            "https://sts.eu-west-1.amazonaws.com/",
            "http://vpc.example:9/"
        ]
    );
}

#[tokio::test]
async fn assume_role_fetch_signs_with_current_source_credentials() {
    let http = granting_http();
    let session = SessionContext::builder().build();
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    let account = session.account(session.default_account()).unwrap();
    let provider = role_builder(&http, Arc::new(account)).build().unwrap();
    provider.provide().await.unwrap();
    session.set_credentials(long_lived("AKIAI44QH8DHBEXAMPLE")).unwrap();
    provider.provide().await.unwrap();
    let signed: Vec<_> =
        http.requests().into_iter().map(|sent| sent.headers["authorization"].clone()).collect();
    assert!(signed[0].contains(&format!("Credential={}/", crate::KEY_ID)), "{signed:?}");
    assert!(signed[1].contains("Credential=AKIAI44QH8DHBEXAMPLE/"), "{signed:?}");

    drop(session);
    assert_eq!(provider.provide().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(http.requests().len(), 2);
}

#[tokio::test]
async fn assume_role_chained_over_an_hour_fails_before_call() {
    let http = granting_http();
    let temporary = memory_source(Canary::new().credentials(Expiry::Never).unwrap());
    let long = role_builder(&http, Arc::clone(&temporary))
        .session_duration(Duration::from_secs(3_601))
        .build()
        .unwrap();
    let error = long.provide().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("duration")));
    assert!(http.requests().is_empty());
    role_builder(&http, temporary)
        .session_duration(Duration::from_secs(3_600))
        .build()
        .unwrap()
        .provide()
        .await
        .unwrap();
    role_builder(&http, static_source())
        .session_duration(Duration::from_secs(3_601))
        .build()
        .unwrap()
        .provide()
        .await
        .unwrap();
    assert_eq!(http.requests().len(), 2);
}

#[tokio::test]
async fn assume_role_empty_source_stops_provider_chain() {
    let http = granting_http();
    let role = role_builder(&http, Arc::new(MemoryProvider::new())).build().unwrap();
    let hosts = EnvProvider::new(|name| match name {
        "AWS_ACCESS_KEY_ID" => Some(crate::KEY_ID.into()),
        "AWS_SECRET_ACCESS_KEY" => Some("the-hosts-own".into()),
        _ => None,
    });
    assert!(hosts.provide().await.is_ok());
    let error = ProviderChain::new(role).or_else(hosts).provide().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field(), error.provider()),
        (ErrorKind::Invalid, Some("source"), Some("assume-role"))
    );
    assert!(error.next_step().unwrap().contains("its source"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no credentials"), "{cause}");
    assert!(http.requests().is_empty());
}

#[tokio::test]
async fn assume_role_source_error_keeps_kind_and_provider() {
    for kind in [
        ErrorKind::Denied,
        ErrorKind::Expired,
        ErrorKind::Unavailable,
        ErrorKind::Throttled,
        ErrorKind::Closed,
    ] {
        let broken = ScriptedProvider::new([Script::Fail(Error::new(kind, "no"))]);
        let error =
            role_builder(&granting_http(), Arc::new(broken)).build().unwrap().provide().await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (kind, Some("scripted")));
    }
}

#[tokio::test]
async fn assume_role_expired_or_partial_response_is_transient() {
    let without = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult/></AssumeRoleResponse>"#;
    for body in [
        without.to_owned(),
        assume_role_response("not one word", "s", "t"),
        assume_role_response("ASIAIOSFODNN7EXAMPLE", "", "t"),
        assume_role_response("ASIAIOSFODNN7EXAMPLE", "s", "t").replace("2099", "2019"),
    ] {
        let error = role_builder(&HttpFixture::responding(200, body), static_source())
            .build()
            .unwrap()
            .provide()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

/// Credentials carry it, and a session without a region uses it, but no more than an environment's.
#[tokio::test]
async fn assume_role_client_config_region_becomes_environment_region() {
    let http = granting_http();
    let base = http.client_config().region(&region("eu-south-1"));
    let role = || role_builder(&http, static_source()).client_config(&base).build().unwrap();
    let credentials = role().provide().await.unwrap();
    assert_eq!((credentials.region(), credentials.environment_region()), (None, Some(&region("eu-south-1"))));
    for (builder, expected) in [
        (SessionContext::builder(), "eu-south-1"),
        (SessionContext::builder().environment_region(region("eu-west-3")), "eu-south-1"),
        (SessionContext::builder().region(region("eu-west-1")), "eu-west-1"),
    ] {
        let session = builder.provider(role()).build();
        let config = session.sdk_config_from(AwsClientConfig::new().config()).await.unwrap();
        assert_eq!(config.region().unwrap().as_ref(), expected);
        assert_eq!(session.resolved_region().as_str(), expected);
    }
}
