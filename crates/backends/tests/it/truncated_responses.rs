//! A truncated response of STS never becomes credentials. The SDK reads XML that breaks off as if it ended there; what
//! protects callers is that STS sends the expiry last, and that credentials without one count as expired.

use valetkey_backends::{AssumeRoleProvider, AwsClientConfig, ScopedProvider};
use valetkey_core::{CredentialProvider, Expiry, SessionPolicy};

use crate::http_fixture::{HttpFixture, assume_role_response, issued_response};
use crate::scoped::{SCOPED_SESSION, temporary_credentials};
use crate::{memory_source, static_source};

const KEYS: [&str; 3] = ["ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"];

async fn assert_full_or_error<P: CredentialProvider>(body: &str, provider: impl Fn(&AwsClientConfig) -> P) {
    for end in body.find("Result>").unwrap()..=body.len() {
        let truncated = &body[..end];
        let Ok(set) = provider(&HttpFixture::responding(200, truncated).client_config()).provide().await
        else {
            assert!(end < body.len(), "the whole of it is an answer");
            continue;
        };
        assert_eq!(set.access_key_id().as_str(), KEYS[0], "{truncated}");
        assert_eq!(set.expose_secret_access_key(), KEYS[1], "{truncated}");
        assert_eq!(set.expose_session_token(), Some(KEYS[2]), "{truncated}");
        assert_eq!(set.expiry().to_string(), "2099-01-01T00:00:00Z", "{truncated}");
    }
}

#[tokio::test]
async fn truncated_assume_role_response_is_error() {
    let role = |base: &AwsClientConfig| {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        AssumeRoleProvider::builder(role, static_source()).client_config(base).build().unwrap()
    };
    assert_full_or_error(&assume_role_response(KEYS[0], KEYS[1], KEYS[2]), role).await;
}

/// Wherever STS puts the session, before the keys or after them.
#[tokio::test]
async fn truncated_scoped_response_is_error() {
    let scoped = |base: &AwsClientConfig| {
        let policy = SessionPolicy::read_only(["s3"]).unwrap();
        let source = memory_source(temporary_credentials(Expiry::Never));
        ScopedProvider::builder(source).policy(policy).client_config(base).build().unwrap()
    };
    let before = issued_response("GetScopedCredentials", SCOPED_SESSION, KEYS);
    let end = "</Credentials>";
    let after =
        issued_response("GetScopedCredentials", "", KEYS).replace(end, &format!("{end}{SCOPED_SESSION}"));
    assert_full_or_error(&before, scoped).await;
    assert_full_or_error(&after, scoped).await;
}
