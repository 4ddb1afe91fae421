//! `WebIdentityProvider`: its request, the content of token files, and the errors for rejected tokens.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use valetkey_backends::{EnvProvider, WebIdentityBuilder, WebIdentityProvider};
use valetkey_core::{
    CredentialProvider, Error, ErrorKind, ProviderChain, RoleArn, SecretString, SessionContext,
};

use crate::http_fixture::{HttpFixture, ROLE_SESSION, issued_response, refused};
use crate::region;

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn role() -> RoleArn {
    "arn:aws:iam::222222222222:role/agent".parse().unwrap()
}

fn granting_http() -> HttpFixture {
    let keys = ["ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"];
    HttpFixture::responding(200, issued_response("AssumeRoleWithWebIdentity", ROLE_SESSION, keys))
}

fn builder_with_token(http: &HttpFixture, token: &'static str) -> WebIdentityBuilder {
    WebIdentityProvider::builder(role(), move || async move { Ok(SecretString::from(token)) })
        .client_config(&http.client_config())
}

/// A folder with a token file in it.
fn token_file(bytes: impl AsRef<[u8]>) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

async fn token_file_error(path: &Path) -> Error {
    let http = granting_http();
    let provider =
        WebIdentityProvider::from_file(role(), path).client_config(&http.client_config()).build().unwrap();
    let error = provider.provide().await.unwrap_err();
    assert!(http.requests().is_empty(), "STS is not asked");
    assert_eq!((error.field(), error.provider()), (Some("token_file"), Some("web-identity")), "{error}");
    assert!(error.next_step().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains(path.to_str().unwrap()), "{error:?}");
    error
}

#[tokio::test]
async fn web_identity_all_fields_reach_sts_unsigned() {
    let http = granting_http();
    let provider = builder_with_token(&http, "header.claims.signature")
        .session_name("agent-7")
        .provider_id("www.amazon.com")
        .session_duration(Duration::from_secs(43_200))
        .policy(POLICY)
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .build()
        .unwrap();
    provider.provide().await.unwrap();
    let expected = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn:aws:iam::222222222222:role/agent"),
        ("RoleSessionName", "agent-7"),
        ("WebIdentityToken", "header.claims.signature"),
        ("ProviderId", "www.amazon.com"),
        ("DurationSeconds", "43200"),
        ("Policy", POLICY),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
    ];
    let sent = &http.requests()[0];
    sent.assert_form(&expected);
    assert!(!sent.headers.contains_key("authorization"), "{:?}", sent.headers);
}

#[tokio::test]
async fn web_identity_unset_fields_are_not_sent() {
    let http = granting_http();
    builder_with_token(&http, "token").build().unwrap().provide().await.unwrap();
    let sent = http.requests()[0].form();
    let names = ["Action", "RoleArn", "RoleSessionName", "Version", "WebIdentityToken"];
    assert_eq!(sent.keys().collect::<Vec<_>>(), names);
    assert_eq!(sent["RoleSessionName"], "valetkey");
}

#[tokio::test]
async fn web_identity_response_maps_every_field() {
    let http = granting_http();
    let provider = builder_with_token(&http, "token").region(region("eu-central-1")).build().unwrap();
    let credentials = provider.provide().await.unwrap();
    assert_eq!(credentials.access_key_id().as_str(), "ASIAIOSFODNN7EXAMPLE");
    assert_eq!(credentials.expose_secret_access_key(), "role-secret");
    assert_eq!(credentials.expose_session_token(), Some("role-token"));
    assert_eq!(credentials.expiry().to_string(), "2099-01-01T00:00:00Z");
    assert_eq!(credentials.account_id().unwrap().as_str(), "222222222222");
    assert_eq!(credentials.region().unwrap().as_str(), "eu-central-1");
    assert_eq!(credentials.provider(), "web-identity");
    assert_eq!(http.requests()[0].uri, "https://sts.eu-central-1.amazonaws.com/");
}

#[tokio::test]
async fn token_file_is_read_and_trimmed_at_each_fetch() {
    let http = granting_http();
    let (_folder, path) = token_file(" \n\tfirst-token\r\n\n");
    let provider =
        WebIdentityProvider::from_file(role(), &path).client_config(&http.client_config()).build().unwrap();
    provider.provide().await.unwrap();
    fs::write(&path, "second-token").unwrap();
    provider.provide().await.unwrap();
    let tokens: Vec<_> = http.requests().iter().map(|sent| sent.form()["WebIdentityToken"].clone()).collect();
    assert_eq!(tokens, ["first-token", "second-token"]);
}

#[tokio::test]
async fn token_file_without_token_is_invalid() {
    for (bytes, rule) in [
        (b"abc".to_vec(), "4 to 20,000"),
        (vec![b't'; 20_001], "4 to 20,000"),
        ("\u{20ac}".repeat(20_001).into_bytes(), "4 to 20,000"),
        (vec![b't'; 1024 * 1024], "4 to 20,000"),
        (b"hunter2\xff".to_vec(), "UTF-8"),
    ] {
        let (_folder, path) = token_file(&bytes);
        let error = token_file_error(&path).await;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(rule), "`{error}` does not say {rule}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn token_file_empty_keeps_session_credentials() {
    let (_folder, path) = token_file("token");
    let http = granting_http();
    let provider =
        WebIdentityProvider::from_file(role(), &path).client_config(&http.client_config()).build().unwrap();
    let session = SessionContext::builder().provider(provider).build();
    let set = session.credentials().await.unwrap();
    for text in ["", " \n\t "] {
        fs::write(&path, text).unwrap();
        let error = session.refresh().await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Unavailable, Some("token_file")), "{error}");
        assert!(error.message().contains("holds no token"), "{error}");
        assert_eq!(session.credentials().await.unwrap().access_key_id(), set.access_key_id());
    }
    fs::write(&path, "renewed").unwrap();
    session.refresh().await.unwrap();
    assert_eq!(http.requests()[1].form()["WebIdentityToken"], "renewed");
}

#[tokio::test]
async fn token_file_of_20000_characters_is_accepted() {
    for token in ["t".repeat(20_000), "\u{20ac}".repeat(20_000), "abcd".to_owned()] {
        let (http, (_folder, path)) = (granting_http(), token_file(format!("\n{token}\n")));
        let provider = WebIdentityProvider::from_file(role(), path)
            .client_config(&http.client_config())
            .build()
            .unwrap();
        provider.provide().await.unwrap();
        assert_eq!(http.requests()[0].form()["WebIdentityToken"], token);
    }
}

#[tokio::test]
async fn token_file_not_regular_is_invalid_and_not_opened() {
    let (folder, file) = token_file("token");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, rule) in [
        (folder.path().join("absent"), "does not exist"),
        (folder.path().to_owned(), "does not name a file"),
        (pipe, "does not name a file"),
        (file.join("below"), "no possible file"),
        ("\0".into(), "no possible file"),
    ] {
        let error = token_file_error(&path).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains(rule), "`{error}` does not say {rule}");
    }
}

#[tokio::test]
async fn token_provider_is_called_at_each_fetch() {
    let http = granting_http();
    let tokens = Mutex::new(vec!["second", "first"]);
    let provider = WebIdentityProvider::builder(role(), move || {
        let next = tokens.lock().unwrap().pop().unwrap();
        async move { Ok(SecretString::from(next)) }
    });
    let provider = provider.client_config(&http.client_config()).build().unwrap();
    provider.provide().await.unwrap();
    provider.provide().await.unwrap();
    let sent: Vec<_> = http.requests().iter().map(|sent| sent.form()["WebIdentityToken"].clone()).collect();
    assert_eq!(sent, ["first", "second"]);
}

#[tokio::test]
async fn token_provider_error_is_never_not_configured() {
    for (kind, expected) in [
        (ErrorKind::Denied, ErrorKind::Denied),
        (ErrorKind::Unavailable, ErrorKind::Unavailable),
        (ErrorKind::Closed, ErrorKind::Closed),
        (ErrorKind::NotConfigured, ErrorKind::Invalid),
    ] {
        let http = granting_http();
        let source = move || async move { Err(Error::new(kind, "no")) };
        let provider = WebIdentityProvider::builder(role(), source)
            .client_config(&http.client_config())
            .build()
            .unwrap();
        let hosts = EnvProvider::new(|name| name.starts_with("AWS_").then(|| crate::KEY_ID.into()));
        let error = ProviderChain::new(provider).or_else(hosts).provide().await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (expected, Some("web-identity")));
        assert!(http.requests().is_empty());
    }
    for (text, rule) in [("", "no token"), ("  ", "no token"), ("abc", "4 to 20,000")] {
        let error = builder_with_token(&granting_http(), text).build().unwrap().provide().await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("token")));
        assert!(error.message().contains(rule), "{error}");
    }
}

#[tokio::test]
async fn rejected_token_is_permanent_and_names_its_setting() {
    let (_folder, path) = token_file("token");
    for (code, kind) in [
        ("ExpiredTokenException", ErrorKind::Expired),
        ("ExpiredToken", ErrorKind::Expired),
        ("InvalidIdentityToken", ErrorKind::Invalid),
        ("IDPRejectedClaim", ErrorKind::Denied),
    ] {
        let http = HttpFixture::responding(400, refused(code, "hunter2"));
        let from_file = WebIdentityProvider::from_file(role(), &path).client_config(&http.client_config());
        for (builder, field) in [(from_file, "token_file"), (builder_with_token(&http, "token"), "token")] {
            let error = builder.build().unwrap().provide().await.unwrap_err();
            assert_eq!((error.kind(), error.field()), (kind, Some(field)), "{error}");
            assert!(!error.is_transient() && error.next_step().unwrap().contains("new token"), "{error}");
        }
        assert_eq!(http.requests().len(), 2, "{code} is not tried again");
    }
}

#[tokio::test]
async fn unreachable_identity_provider_is_retried_and_transient() {
    let http = HttpFixture::responding(400, refused("IDPCommunicationError", ""));
    let error = builder_with_token(&http, "token").build().unwrap().provide().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Unavailable, None), "{error}");
    assert_eq!(http.requests().len(), 3);
}

#[tokio::test]
async fn web_identity_utilization_returns_last_percent() {
    for (fields, percent) in [
        ("<PackedPolicySize>6</PackedPolicySize>", Some(6)),
        ("<SessionTokenUtilization>0</SessionTokenUtilization>", Some(0)),
        (
            "<SessionTokenUtilization>40</SessionTokenUtilization><PackedPolicySize>6</PackedPolicySize>",
            Some(40),
        ),
        ("", None),
    ] {
        let keys = ["ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"];
        let http = HttpFixture::responding(200, issued_response("AssumeRoleWithWebIdentity", fields, keys));
        let provider = builder_with_token(&http, "token").build().unwrap();
        assert_eq!(provider.utilization(), None);
        provider.provide().await.unwrap();
        assert_eq!(provider.utilization(), percent);
    }
}

#[test]
fn web_identity_setting_over_limit_fails_build() {
    let http = granting_http();
    let builder = || builder_with_token(&http, "token");
    let seconds = Duration::from_secs;
    for good in [
        builder().session_duration(seconds(900)),
        builder().session_duration(seconds(43_200)),
        builder().provider_id("a.bc"),
        builder().session_name("ab"),
    ] {
        assert!(good.build().is_ok());
    }
    let nowhere = WebIdentityProvider::from_file(role(), "/nowhere");
    for (bad, field, limit) in [
        (builder().session_duration(seconds(899)), "duration", "900 to 43,200"),
        (builder().session_duration(seconds(43_201)), "duration", "900 to 43,200"),
        (builder().provider_id("https://www.amazon.com"), "provider_id", "without scheme"),
        (builder().provider_id("a:1"), "provider_id", "4 to 2,048"),
        (builder().session_name("a"), "session_name", "2 to 64"),
        (builder().policy("[]"), "policy", "JSON object"),
        (builder().policy_arn("agent"), "policy_arns", "managed policy ARNs"),
        (nowhere, "region", "not known"),
    ] {
        let error = bad.build().unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
        assert_eq!(error.provider(), Some("web-identity"));
        assert!(error.message().contains(limit), "`{error}` does not name the limit {limit}");
    }
}

proptest! {
    #[test]
    fn web_identity_random_settings_follow_limits(
        host in "[a-zA-Z0-9./:-]{0,20}", length in 0_usize..3_000, seconds in 0_u64..50_000,
    ) {
        let http = granting_http();
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        for text in [host, "h".repeat(length)] {
            let fits = (4..=2_048).contains(&text.len()) && plain(&text);
            prop_assert_eq!(builder_with_token(&http, "token").provider_id(text).build().is_ok(), fits);
        }
        let built = builder_with_token(&http, "token").session_duration(Duration::from_secs(seconds)).build();
        prop_assert_eq!(built.is_ok(), (900..=43_200).contains(&seconds));
    }
}
