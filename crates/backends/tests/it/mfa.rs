//! The second factor: what STS receives of it, and what needs a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use valetkey_backends::{AssumeRoleProvider, FederationProvider, SecretSource};
use valetkey_core::testing::ManualClock;
use valetkey_core::{Clock, CredentialProvider, Error, ErrorKind, Result, SecretString, SessionContext};

use crate::source;
use crate::wire::{Answer, Wire, assumed, issued, refused};

const NEEDS_PERSON: ErrorKind = ErrorKind::InteractionRequired;
const SERIAL: &str = "arn:aws:iam::111111111111:mfa/alice";

/// 2099-01-01T00:00:00Z, as the wire says.
fn when_issued_sets_expire() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_070_908_800)
}

/// Every provider that may need a code.
#[derive(Debug, Clone, Copy)]
enum Asker {
    Role,
    Exchange,
}

use Asker::{Exchange, Role};

const ASKERS: [Asker; 2] = [Role, Exchange];

impl Asker {
    fn granted(self) -> Wire {
        let keys = ["ASIAIOSFODNN7EXAMPLE", "issued-secret", "issued-token"];
        Wire::saying(
            200,
            match self {
                Role => assumed(keys[0], keys[1], keys[2]),
                Exchange => issued("GetSessionToken", "", keys),
            },
        )
    }

    /// Such a provider, without a device.
    fn plain(self, wire: &Wire) -> Arc<dyn CredentialProvider> {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        match self {
            Role => Arc::new(AssumeRoleProvider::builder(role, source()).base(&wire.base()).build().unwrap()),
            Exchange => Arc::new(FederationProvider::builder(source()).base(&wire.base()).build().unwrap()),
        }
    }

    fn with(self, wire: &Wire, code: impl SecretSource + 'static) -> Arc<dyn CredentialProvider> {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        let base = wire.base();
        match self {
            Role => {
                let builder = AssumeRoleProvider::builder(role, source()).base(&base);
                Arc::new(builder.mfa(SERIAL, code).build().unwrap())
            }
            Exchange => {
                let builder = FederationProvider::builder(source()).base(&base);
                Arc::new(builder.mfa(SERIAL, code).build().unwrap())
            }
        }
    }

    async fn failure(self, wire: &Wire, code: impl SecretSource + 'static) -> Error {
        self.with(wire, code).provide().await.unwrap_err()
    }
}

async fn code() -> Result<SecretString> {
    Ok(SecretString::from(" 123456\n"))
}

#[tokio::test]
async fn sts_receives_the_serial_number_and_the_code_of_the_moment() {
    for asker in ASKERS {
        let wire = asker.granted();
        asker.with(&wire, code).provide().await.unwrap();
        asker.plain(&wire).provide().await.unwrap();
        let [with, without] = <[_; 2]>::try_from(wire.sent()).unwrap().map(|sent| sent.form());
        assert_eq!((&*with["SerialNumber"], &*with["TokenCode"]), (SERIAL, "123456"), "{asker:?}");
        assert!(!without.contains_key("SerialNumber") && !without.contains_key("TokenCode"), "{without:?}");
    }
}

#[tokio::test]
async fn a_code_is_asked_for_once_a_fetch_and_sent_once_even_if_sts_fails() {
    for asker in ASKERS {
        for (answer, kind) in [
            (Answer::Says(503, refused("ServiceUnavailable", "")), ErrorKind::Unavailable),
            (Answer::Says(400, refused("Throttling", "")), ErrorKind::Throttled),
            (Answer::HangsUp, ErrorKind::Unavailable),
        ] {
            let (wire, asked) = (Wire::new(answer), Arc::new(AtomicUsize::new(0)));
            let count = Arc::clone(&asked);
            let counting = move || {
                count.fetch_add(1, Ordering::SeqCst);
                code()
            };
            let error = asker.failure(&wire, counting).await;
            assert_eq!((error.kind(), error.field()), (kind, None), "{error}");
            assert_eq!((asked.load(Ordering::SeqCst), wire.sent().len()), (1, 1), "{asker:?}");
            asker.plain(&wire).provide().await.unwrap_err();
            assert_eq!(wire.sent().len(), 4, "what has no code is retried by the SDK");
        }
    }
}

#[tokio::test]
async fn a_code_that_nobody_gives_needs_a_person_whatever_the_reason() {
    for kind in [ErrorKind::Unavailable, ErrorKind::TimedOut, ErrorKind::NotConfigured, ErrorKind::Closed] {
        for asker in ASKERS {
            let wire = asker.granted();
            let absent = move || async move { Err(Error::new(kind, "nobody is here")) };
            let error = asker.failure(&wire, absent).await;
            assert_eq!((error.kind(), error.field()), (NEEDS_PERSON, Some("mfa_code")), "{error}");
            assert!(!error.is_transient() && error.message().contains("person"), "{error}");
            assert!(std::error::Error::source(&error).unwrap().to_string().contains("nobody is here"));
            assert!(wire.sent().is_empty());
        }
    }
}

#[tokio::test]
async fn what_is_no_code_is_refused_before_the_call_and_is_not_repeated() {
    for text in ["", "12345", "1234567", "12345x", "xyzzy1", "\u{661}23456"] {
        for asker in ASKERS {
            let wire = asker.granted();
            let wrong = move || async move { Ok(SecretString::from(text)) };
            let error = asker.failure(&wire, wrong).await;
            assert_eq!((error.kind(), error.field()), (NEEDS_PERSON, Some("mfa_code")), "{error}");
            assert!(text.is_empty() || !format!("{error} {error:?}").contains(text), "{error:?}");
            assert!(wire.sent().is_empty());
        }
    }
}

#[tokio::test]
async fn a_refused_code_needs_a_person_and_any_other_refusal_is_one() {
    for asker in ASKERS {
        let said = |message: &str| Wire::saying(403, refused("AccessDenied", message));
        for message in [
            "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
            "MultiFactorAuthentication failed, unable to validate MFA code.",
        ] {
            let error = asker.failure(&said(message), code).await;
            assert_eq!((error.kind(), error.field()), (NEEDS_PERSON, Some("mfa_code")), "{error}");
            assert!(error.next_step().unwrap().contains("next code"), "{error}");
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("AccessDenied") && !cause.contains(message), "{cause}");
        }
        let wire = said("User alice is not authorized; MultiFactorAuthentication failed");
        let error = asker.failure(&wire, code).await;
        assert_eq!((error.kind(), error.field()), (ErrorKind::Denied, None), "{error}");
        let without = asker.plain(&said("MultiFactorAuthentication failed")).provide().await.unwrap_err();
        assert_eq!((without.kind(), without.field()), (ErrorKind::Denied, None));
    }
}

/// The seam: a session goes on with what it has, and does not ask in a loop.
#[tokio::test]
async fn a_session_serves_what_a_code_got_it_when_the_next_one_does_not_come() {
    for asker in ASKERS {
        let (wire, asked) = (asker.granted(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let once = move || {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if first { code().await } else { Err(Error::not_configured("nobody is here")) } }
        };
        let (clock, hour) = (ManualClock::new(), Duration::from_secs(3_600));
        clock.advance(when_issued_sets_expire().duration_since(clock.now()).unwrap() - hour);
        let session = SessionContext::builder().clock(Arc::new(clock.clone()));
        let session = session.provider(asker.with(&wire, once)).build();
        let set = session.credentials().await.unwrap();
        clock.advance(hour - Duration::from_secs(120));
        for _ in 0..3 {
            assert_eq!(session.credentials().await.unwrap().access_key_id(), set.access_key_id());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "asked once more, and then left alone");
        clock.advance(Duration::from_secs(120));
        assert_eq!(session.credentials().await.unwrap_err().kind(), NEEDS_PERSON);
    }
}

#[tokio::test]
async fn a_narrowed_role_proves_the_device_as_well() {
    let wire = Role.granted();
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
    let narrowed = Role.with(&wire, code).narrowed(&policy.parse().unwrap()).unwrap();
    narrowed.provide().await.unwrap();
    let sent = wire.sent()[0].form();
    assert_eq!((&*sent["SerialNumber"], &*sent["TokenCode"]), (SERIAL, "123456"));
    assert!(sent["Policy"].contains("s3:Get*"));
}
