//! `SdkProvider`: a provider of the SDK as a `CredentialProvider`.

use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider as SdkAssumeRole;
use aws_credential_types::Credentials as SdkCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use valetkey_backends::SdkProvider;
use valetkey_core::{CredentialProvider, ErrorKind, Expiry, ProviderChain};

use crate::http_fixture::{HttpFixture, refused};
use crate::{long_lived, memory_source, region};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

#[derive(Debug)]
struct FailingSdkProvider(fn() -> CredentialsError);

impl ProvideCredentials for FailingSdkProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err((self.0)()))
    }
}

#[tokio::test]
async fn sdk_provider_maps_every_field() {
    let expires_at = SystemTime::UNIX_EPOCH + 100 * YEAR;
    let keys = SdkCredentials::builder()
        .access_key_id(crate::KEY_ID)
        .secret_access_key("secret")
        .session_token("token")
        .expiry(expires_at)
        .account_id("111111111111")
        .provider_name("test")
        .build();
    let credentials = SdkProvider::new("ambient", keys).region(region("us-west-2")).provide().await.unwrap();
    assert_eq!(credentials.access_key_id().as_str(), crate::KEY_ID);
    assert_eq!(credentials.expose_secret_access_key(), "secret");
    assert_eq!(credentials.expose_session_token(), Some("token"));
    assert_eq!(credentials.expiry(), Expiry::At(expires_at));
    assert_eq!(credentials.account_id().unwrap().as_str(), "111111111111");
    assert_eq!(credentials.region().unwrap().as_str(), "us-west-2");
    assert_eq!(credentials.provider(), "ambient");
}

#[tokio::test]
async fn sdk_provider_error_maps_to_kind_without_details() {
    for (fails, kind) in [
        (FailingSdkProvider(|| CredentialsError::not_loaded("hunter2")), ErrorKind::NotConfigured),
        (FailingSdkProvider(CredentialsError::not_loaded_no_source), ErrorKind::NotConfigured),
        (
            FailingSdkProvider(|| CredentialsError::provider_timed_out(Duration::from_secs(1))),
            ErrorKind::TimedOut,
        ),
        (FailingSdkProvider(|| CredentialsError::invalid_configuration("hunter2")), ErrorKind::Invalid),
        (FailingSdkProvider(|| CredentialsError::provider_error("hunter2")), ErrorKind::Unavailable),
        (FailingSdkProvider(|| CredentialsError::unhandled("hunter2")), ErrorKind::Internal),
    ] {
        let error = SdkProvider::new("ambient", fails).provide().await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (kind, Some("ambient")));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn sdk_provider_not_loaded_falls_through_chain() {
    let fallback = || SdkProvider::new("fallback", crate::sdk_credentials(crate::KEY_ID));
    let absent = SdkProvider::new("ambient", FailingSdkProvider(CredentialsError::not_loaded_no_source));
    assert!(ProviderChain::new(absent).or_else(fallback()).provide().await.is_ok());
    let broken = SdkProvider::new("ambient", FailingSdkProvider(|| CredentialsError::provider_error("no")));
    assert!(ProviderChain::new(broken).or_else(fallback()).provide().await.is_err());
}

#[tokio::test]
async fn sdk_provider_service_error_keeps_kind() {
    for (code, message, kind) in [
        ("AccessDenied", "hunter2", ErrorKind::Denied),
        ("ExpiredToken", "hunter2", ErrorKind::Expired),
        ("SignatureDoesNotMatch", "hunter2", ErrorKind::Denied),
        ("SignatureDoesNotMatch", "Signature expired: hunter2", ErrorKind::Unavailable),
    ] {
        let http = HttpFixture::responding(403, refused(code, message));
        let keys = memory_source(long_lived(crate::KEY_ID)).provide().await.unwrap().expose_to_sdk();
        let role = SdkAssumeRole::builder("arn:aws:iam::222222222222:role/agent")
            .configure(http.client_config().config())
            .build_from_provider(keys)
            .await;
        let error = SdkProvider::new("sdk-role", role).provide().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let names_clock = error.next_step().unwrap().contains("clock");
        assert_eq!(names_clock, kind == ErrorKind::Unavailable, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn sdk_provider_malformed_key_id_is_invalid() {
    let keys = crate::sdk_credentials("not one word");
    let error = SdkProvider::new("ambient", keys).provide().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("access_key_id")));
}

#[tokio::test]
async fn sdk_provider_already_expired_is_transient() {
    let long_ago = Some(SystemTime::UNIX_EPOCH + YEAR);
    let keys = SdkCredentials::new(crate::KEY_ID, "secret", None, long_ago, "test");
    let error = SdkProvider::new("ambient", keys).provide().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Unavailable, Some("ambient")));
}
