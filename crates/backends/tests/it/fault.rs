//! Faults of AWS: each code and status, by kind; how often is tried; what is not repeated.

use valetkey_backends::{AssumeRoleProvider, SecretsManagerProvider};
use valetkey_core::{CredentialProvider, Error, ErrorKind};

use crate::source;
use crate::wire::{Answer, REQUEST_ID, Wire, refused};

use ErrorKind::{Denied, Expired, Invalid, Throttled, TimedOut, Unavailable};

const LEAK: &str = "leak-hunter2";

async fn from_sts(wire: &Wire) -> Error {
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let provider = AssumeRoleProvider::builder(role, source()).base(&wire.base()).build().unwrap();
    provider.provide().await.unwrap_err()
}

async fn from_secrets(wire: &Wire) -> Error {
    let provider = SecretsManagerProvider::builder("secret", source()).base(&wire.base()).build().unwrap();
    provider.provide().await.unwrap_err()
}

fn check(error: &Error, kind: ErrorKind, code: &str) {
    assert_eq!(error.kind(), kind, "{code}: {error}");
    assert!(error.message().contains(code) && error.message().contains(REQUEST_ID), "{error}");
    assert!(error.next_step().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains(LEAK), "{error:?}");
}

#[tokio::test]
async fn each_code_of_sts_has_its_kind() {
    for (status, code, kind) in [
        (403, "AccessDenied", Denied),
        (403, "AccessDeniedException", Denied),
        (400, "UnrecognizedClientException", Denied),
        (403, "InvalidClientTokenId", Denied),
        (403, "SignatureDoesNotMatch", Denied),
        (403, "InvalidToken", Denied),
        (403, "ExpiredToken", Expired),
        (403, "ExpiredTokenException", Expired),
        (400, "MalformedPolicyDocument", Invalid),
        (400, "PackedPolicyTooLarge", Invalid),
        (400, "ValidationError", Invalid),
        (400, "InvalidParameterValue", Invalid),
        (403, "RegionDisabledException", Invalid),
        (400, "RequestExpired", Invalid),
        (400, "Throttling", Throttled),
        (400, "ThrottlingException", Throttled),
        (503, "SlowDown", Throttled),
        (408, "RequestTimeout", TimedOut),
        (500, "InternalFailure", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (400, "SomethingNew", Invalid),
        (403, "SomethingNew", Denied),
        (429, "SomethingNew", Throttled),
        (502, "SomethingNew", Unavailable),
    ] {
        check(&from_sts(&Wire::saying(status, refused(code, LEAK))).await, kind, code);
    }
}

#[tokio::test]
async fn an_answer_without_a_code_is_told_by_its_status() {
    for (status, kind) in [
        (200, Unavailable),
        (302, Invalid),
        (400, Invalid),
        (401, Denied),
        (403, Denied),
        (404, Invalid),
        (408, TimedOut),
        (429, Throttled),
        (500, Unavailable),
        (504, Unavailable),
    ] {
        for body in [format!("<html>{LEAK}"), LEAK.to_owned()] {
            let error = from_sts(&Wire::saying(status, body)).await;
            assert_eq!(error.kind(), kind, "{status}: {error}");
            assert!(!format!("{error} {error:?}").contains(LEAK), "{error:?}");
        }
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_no_answer_is_timed_out() {
    for (answer, kind) in [(Answer::HangsUp, Unavailable), (Answer::NeverComes, TimedOut)] {
        assert_eq!(from_sts(&Wire::new(answer.clone())).await.kind(), kind);
        assert_eq!(from_secrets(&Wire::new(answer)).await.kind(), kind);
    }
}

#[tokio::test]
async fn only_the_sdk_retries_and_only_what_is_transient() {
    for (case, (wire, attempts)) in [
        (Wire::saying(503, refused("ServiceUnavailable", "")), 3),
        (Wire::saying(400, refused("Throttling", "")), 3),
        (Wire::new(Answer::HangsUp), 3),
        (Wire::saying(403, refused("AccessDenied", "")), 1),
        (Wire::saying(403, refused("ExpiredToken", "")), 1),
        (Wire::saying(400, refused("MalformedPolicyDocument", "")), 1),
    ]
    .into_iter()
    .enumerate()
    {
        from_sts(&wire).await;
        assert_eq!(wire.sent().len(), attempts, "case {case}");
    }
}

#[tokio::test]
async fn a_code_that_is_a_text_of_its_own_is_not_repeated() {
    for code in [format!("{LEAK} and more"), format!("{LEAK}\n"), LEAK.repeat(10)] {
        let error = from_sts(&Wire::saying(400, refused(&code, ""))).await;
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("HTTP 400"), "{error}");
    }
}
