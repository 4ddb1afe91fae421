//! MFA: the serial and the code that STS receives, and the errors that require a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use valetkey_backends::{AssumeRoleProvider, SecretProvider, SessionTokenProvider};
use valetkey_core::testing::ManualClock;
use valetkey_core::{Clock, CredentialProvider, Error, ErrorKind, Result, SecretString, SessionContext};

use crate::http_fixture::{HttpFixture, PeerBehavior, assume_role_response, issued_response, refused};
use crate::static_source;

const NEEDS_PERSON: ErrorKind = ErrorKind::InteractionRequired;
const SERIAL: &str = "arn:aws:iam::111111111111:mfa/alice";

/// 2099-01-01T00:00:00Z, the expiry in the responses of the fixture.
fn issued_expiry() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_070_908_800)
}

/// Every provider that may need a code.
#[derive(Debug, Clone, Copy)]
enum MfaProviderKind {
    Role,
    Exchange,
}

use MfaProviderKind::{Exchange, Role};

const MFA_PROVIDERS: [MfaProviderKind; 2] = [Role, Exchange];

impl MfaProviderKind {
    fn granting_http(self) -> HttpFixture {
        let keys = ["ASIAIOSFODNN7EXAMPLE", "issued-secret", "issued-token"];
        HttpFixture::responding(
            200,
            match self {
                Role => assume_role_response(keys[0], keys[1], keys[2]),
                Exchange => issued_response("GetSessionToken", "", keys),
            },
        )
    }

    /// Such a provider, without a device.
    fn build_without_mfa(self, http: &HttpFixture) -> Arc<dyn CredentialProvider> {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        match self {
            Role => Arc::new(
                AssumeRoleProvider::builder(role, static_source())
                    .client_config(&http.client_config())
                    .build()
                    .unwrap(),
            ),
            Exchange => Arc::new(
                SessionTokenProvider::builder(static_source())
                    .client_config(&http.client_config())
                    .build()
                    .unwrap(),
            ),
        }
    }

    fn build_with_mfa(
        self,
        http: &HttpFixture,
        code: impl SecretProvider + 'static,
    ) -> Arc<dyn CredentialProvider> {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        let base = http.client_config();
        match self {
            Role => {
                let builder = AssumeRoleProvider::builder(role, static_source()).client_config(&base);
                Arc::new(builder.mfa(SERIAL, code).build().unwrap())
            }
            Exchange => {
                let builder = SessionTokenProvider::builder(static_source()).client_config(&base);
                Arc::new(builder.mfa(SERIAL, code).build().unwrap())
            }
        }
    }

    async fn failure(self, http: &HttpFixture, code: impl SecretProvider + 'static) -> Error {
        self.build_with_mfa(http, code).provide().await.unwrap_err()
    }
}

async fn mfa_code() -> Result<SecretString> {
    Ok(SecretString::from(" 123456\n"))
}

#[tokio::test]
async fn mfa_serial_and_code_reach_sts() {
    for asker in MFA_PROVIDERS {
        let http = asker.granting_http();
        asker.build_with_mfa(&http, mfa_code).provide().await.unwrap();
        asker.build_without_mfa(&http).provide().await.unwrap();
        let [with, without] = <[_; 2]>::try_from(http.requests()).unwrap().map(|sent| sent.form());
        assert_eq!((&*with["SerialNumber"], &*with["TokenCode"]), (SERIAL, "123456"), "{asker:?}");
        assert!(!without.contains_key("SerialNumber") && !without.contains_key("TokenCode"), "{without:?}");
    }
}

#[tokio::test]
async fn mfa_code_requested_and_sent_once_per_fetch() {
    for asker in MFA_PROVIDERS {
        for (answer, kind) in [
            (PeerBehavior::Responds(503, refused("ServiceUnavailable", "")), ErrorKind::Unavailable),
            (PeerBehavior::Responds(400, refused("Throttling", "")), ErrorKind::Throttled),
            (PeerBehavior::Disconnects, ErrorKind::Unavailable),
        ] {
            let (http, prompts) = (HttpFixture::new(answer), Arc::new(AtomicUsize::new(0)));
            let count = Arc::clone(&prompts);
            let counting = move || {
                count.fetch_add(1, Ordering::SeqCst);
                mfa_code()
            };
            let error = asker.failure(&http, counting).await;
            assert_eq!((error.kind(), error.field()), (kind, None), "{error}");
            assert_eq!((prompts.load(Ordering::SeqCst), http.requests().len()), (1, 1), "{asker:?}");
            asker.build_without_mfa(&http).provide().await.unwrap_err();
            assert_eq!(http.requests().len(), 4, "what has no code is retried by the SDK");
        }
    }
}

#[tokio::test]
async fn mfa_code_unavailable_is_interaction_required() {
    for kind in [ErrorKind::Unavailable, ErrorKind::TimedOut, ErrorKind::NotConfigured, ErrorKind::Closed] {
        for asker in MFA_PROVIDERS {
            let http = asker.granting_http();
            let absent = move || async move { Err(Error::new(kind, "no person is present")) };
            let error = asker.failure(&http, absent).await;
            assert_eq!((error.kind(), error.field()), (NEEDS_PERSON, Some("mfa_code")), "{error}");
            assert!(!error.is_transient() && error.message().contains("person"), "{error}");
            assert!(std::error::Error::source(&error).unwrap().to_string().contains("no person is present"));
            assert!(http.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn mfa_malformed_code_fails_before_call_unechoed() {
    for text in ["", "12345", "1234567", "12345x", "xyzzy1", "\u{661}23456"] {
        for asker in MFA_PROVIDERS {
            let http = asker.granting_http();
            let wrong = move || async move { Ok(SecretString::from(text)) };
            let error = asker.failure(&http, wrong).await;
            assert_eq!((error.kind(), error.field()), (NEEDS_PERSON, Some("mfa_code")), "{error}");
            assert!(text.is_empty() || !format!("{error} {error:?}").contains(text), "{error:?}");
            assert!(http.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn mfa_refused_code_is_interaction_required() {
    for asker in MFA_PROVIDERS {
        let refusal = |message: &str| HttpFixture::responding(403, refused("AccessDenied", message));
        for message in [
            "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
            "MultiFactorAuthentication failed, unable to validate MFA code.",
        ] {
            let error = asker.failure(&refusal(message), mfa_code).await;
            assert_eq!((error.kind(), error.field()), (NEEDS_PERSON, Some("mfa_code")), "{error}");
            assert!(error.next_step().unwrap().contains("next code"), "{error}");
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("AccessDenied") && !cause.contains(message), "{cause}");
        }
        let http = refusal("User alice is not authorized; MultiFactorAuthentication failed");
        let error = asker.failure(&http, mfa_code).await;
        assert_eq!((error.kind(), error.field()), (ErrorKind::Denied, None), "{error}");
        let without = asker
            .build_without_mfa(&refusal("MultiFactorAuthentication failed"))
            .provide()
            .await
            .unwrap_err();
        assert_eq!((without.kind(), without.field()), (ErrorKind::Denied, None));
    }
}

/// The seam: a session goes on with what it has, and does not ask in a loop.
#[tokio::test]
async fn mfa_session_without_next_code_serves_until_expiry() {
    for asker in MFA_PROVIDERS {
        let (http, prompts) = (asker.granting_http(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&prompts);
        let once = move || {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first { mfa_code().await } else { Err(Error::not_configured("no person is present")) }
            }
        };
        let (clock, hour) = (ManualClock::new(), Duration::from_secs(3_600));
        clock.advance(issued_expiry().duration_since(clock.now()).unwrap() - hour);
        let session = SessionContext::builder().clock(Arc::new(clock.clone()));
        let session = session.provider(asker.build_with_mfa(&http, once)).build();
        let set = session.credentials().await.unwrap();
        clock.advance(hour - Duration::from_secs(120));
        for _ in 0..3 {
            assert_eq!(session.credentials().await.unwrap().access_key_id(), set.access_key_id());
        }
        assert_eq!(prompts.load(Ordering::SeqCst), 2, "asked once more, and then left alone");
        clock.advance(Duration::from_secs(120));
        assert_eq!(session.credentials().await.unwrap_err().kind(), NEEDS_PERSON);
    }
}

#[tokio::test]
async fn mfa_scoped_down_role_sends_code() {
    let http = Role.granting_http();
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
    let narrowed = Role.build_with_mfa(&http, mfa_code).scope_down(&policy.parse().unwrap()).unwrap();
    narrowed.provide().await.unwrap();
    let sent = http.requests()[0].form();
    assert_eq!((&*sent["SerialNumber"], &*sent["TokenCode"]), (SERIAL, "123456"));
    assert!(sent["Policy"].contains("s3:Get*"));
}
