//! Errors of AWS: the kind of each code and status, the number of attempts, and text that errors omit.

use valetkey_backends::{
    AssumeRoleProvider, FederationTokenProvider, ScopedProvider, SecretsManagerProvider,
    SessionTokenProvider, WebIdentityProvider,
};
use valetkey_core::{CredentialProvider, Error, ErrorKind, Expiry, SecretString, SessionPolicy};

use crate::http_fixture::{HttpFixture, PeerBehavior, REQUEST_ID, refused};
use crate::scoped::temporary_credentials;
use crate::{memory_source, static_source};

use ErrorKind::{Denied, Expired, Invalid, Throttled, TimedOut, Unavailable};

const LEAK: &str = "leak-hunter2";

async fn sts_error(http: &HttpFixture) -> Error {
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let provider = AssumeRoleProvider::builder(role, static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    provider.provide().await.unwrap_err()
}

/// Every provider that calls STS, by its operation.
pub(crate) fn sts_providers(http: &HttpFixture) -> [(&'static str, Box<dyn CredentialProvider>); 5] {
    let base = http.client_config();
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let token = || async { Ok(SecretString::from("token")) };
    let web = WebIdentityProvider::builder(role, token).client_config(&base).build().unwrap();
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let assumed = AssumeRoleProvider::builder(role, static_source()).client_config(&base).build().unwrap();
    let session = SessionTokenProvider::builder(static_source()).client_config(&base).build().unwrap();
    let federated =
        FederationTokenProvider::builder("alice", static_source()).client_config(&base).build().unwrap();
    let scoped = ScopedProvider::builder(memory_source(temporary_credentials(Expiry::Never)));
    let scoped =
        scoped.policy(SessionPolicy::read_only(["s3"]).unwrap()).client_config(&base).build().unwrap();
    [
        ("AssumeRole", Box::new(assumed)),
        ("AssumeRoleWithWebIdentity", Box::new(web)),
        ("GetSessionToken", Box::new(session)),
        ("GetFederationToken", Box::new(federated)),
        ("GetScopedCredentials", Box::new(scoped)),
    ]
}

async fn secrets_manager_error(http: &HttpFixture) -> Error {
    let provider = SecretsManagerProvider::builder("secret", static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    provider.provide().await.unwrap_err()
}

fn assert_error(error: &Error, kind: ErrorKind, code: &str) {
    assert_eq!(error.kind(), kind, "{code}: {error}");
    assert!(error.message().contains(code) && error.message().contains(REQUEST_ID), "{error}");
    assert!(error.next_step().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains(LEAK), "{error:?}");
}

/// What the API reference lists for the operations and as common to all, what emulators say besides, and what
/// an unknown code, which is classified by its status.
const STS_CODES: [(u16, &str, ErrorKind); 58] = [
    (400, "MalformedPolicyDocument", Invalid),
    (400, "PackedPolicyTooLarge", Invalid),
    (403, "RegionDisabledException", Invalid),
    (400, "ExpiredTokenException", Expired),
    (400, "InvalidIdentityToken", Invalid),
    (403, "IDPRejectedClaim", Denied),
    (400, "IDPCommunicationError", Unavailable),
    (400, "AccessDeniedException", Denied),
    (403, "AccessDenied", Denied),
    (403, "ExpiredToken", Expired),
    (403, "IncompleteSignature", Denied),
    (500, "InternalFailure", Unavailable),
    (400, "InvalidAction", Invalid),
    (403, "InvalidClientTokenId", Denied),
    (400, "InvalidParameterCombination", Invalid),
    (400, "InvalidParameterValue", Invalid),
    (400, "InvalidQueryParameter", Invalid),
    (400, "MalformedHttpRequestException", Invalid),
    (404, "MalformedQueryString", Invalid),
    (400, "MissingAction", Invalid),
    (403, "MissingAuthenticationToken", Denied),
    (400, "MissingParameter", Invalid),
    (400, "NotAuthorized", Denied),
    (401, "NotAuthorized", Denied),
    (403, "OptInRequired", Denied),
    (400, "RequestAbortedException", Unavailable),
    (413, "RequestEntityTooLargeException", Invalid),
    (400, "RequestExpired", Unavailable),
    (408, "RequestTimeoutException", TimedOut),
    (503, "ServiceUnavailable", Unavailable),
    (400, "Throttling", Throttled),
    (400, "ThrottlingException", Throttled),
    (400, "UnrecognizedClientException", Denied),
    (403, "UnrecognizedClientException", Denied),
    (404, "UnknownOperationException", Invalid),
    (400, "ValidationError", Invalid),
    (400, "ValidationException", Invalid),
    (403, "SignatureDoesNotMatch", Denied),
    (403, "InvalidSignatureException", Denied),
    (403, "InvalidAccessKeyId", Denied),
    (403, "InvalidToken", Denied),
    (403, "AuthFailure", Denied),
    (403, "UnauthorizedOperation", Denied),
    (403, "TokenRefreshRequired", Expired),
    (400, "RequestTimeTooSkewed", Unavailable),
    (408, "RequestTimeout", TimedOut),
    (429, "TooManyRequestsException", Throttled),
    (400, "RequestLimitExceeded", Throttled),
    (503, "SlowDown", Throttled),
    (500, "InternalError", Unavailable),
    (500, "InternalServerError", Unavailable),
    (500, "InternalServiceException", Unavailable),
    (400, "SomethingNew", Invalid),
    (401, "SomethingNew", Denied),
    (403, "SomethingNew", Denied),
    (408, "SomethingNew", TimedOut),
    (429, "SomethingNew", Throttled),
    (502, "SomethingNew", Unavailable),
];

#[tokio::test]
async fn sts_error_code_maps_to_kind_for_each_operation() {
    for (status, code, kind) in STS_CODES {
        for (operation, provider) in sts_providers(&HttpFixture::responding(status, refused(code, LEAK))) {
            let error = provider.provide().await.unwrap_err();
            assert_error(&error, kind, code);
            assert!(error.message().starts_with(&format!("{operation} returned")), "{error}");
            assert_eq!(error.provider(), Some(&*provider.name()));
        }
    }
}

#[tokio::test]
async fn packed_policy_error_reports_percent_only() {
    for (message, expected) in [
        ("Packed size of session tags consumes 107% of allotted space.", Some("take 107 % of their limit")),
        ("leak-hunter2 120 % leak-hunter2", Some("take 120 % of their limit")),
        ("leak-hunter2 % of it", None),
        ("99999999999999% leak-hunter2", None),
        ("leak-hunter2", None),
        ("", None),
    ] {
        for code in ["PackedPolicyTooLarge", "PackedPolicyTooLargeException"] {
            let error = sts_error(&HttpFixture::responding(400, refused(code, message))).await;
            assert_error(&error, Invalid, code);
            let step = error.next_step().unwrap();
            assert!(step.starts_with("shorten the session policies and tags"), "{error}");
            match expected {
                Some(expected) => assert!(step.contains(expected), "{error}"),
                None => assert!(!step.contains('%'), "{error}"),
            }
        }
    }
    let other = sts_error(&HttpFixture::responding(400, refused("ValidationError", "107%"))).await;
    assert!(!other.to_string().contains("107"), "{other}");
}

/// Such a response is not from AWS: it must not end credentials that still work.
#[tokio::test]
async fn response_without_error_code_is_transient() {
    for (status, kind) in [
        (200, Unavailable),
        (302, Unavailable),
        (307, Unavailable),
        (400, Unavailable),
        (401, Unavailable),
        (403, Unavailable),
        (404, Unavailable),
        (407, Unavailable),
        (408, TimedOut),
        (413, Unavailable),
        (429, Throttled),
        (500, Unavailable),
        (504, Unavailable),
    ] {
        for body in [format!("<html>{LEAK}"), LEAK.to_owned(), String::new()] {
            let http = HttpFixture::responding(status, body);
            for (operation, provider) in sts_providers(&http) {
                let error = provider.provide().await.unwrap_err();
                assert_not_aws(operation, &error, kind);
            }
            let error = secrets_manager_error(&http).await;
            assert_eq!((error.kind(), error.is_transient()), (kind, true), "{status}: {error}");
        }
    }
}

fn assert_not_aws(operation: &str, error: &Error, kind: ErrorKind) {
    assert_eq!((error.kind(), error.is_transient()), (kind, true), "{operation}: {error}");
    assert!(error.message().contains("without an AWS error code"), "{operation}: {error}");
    assert!(error.next_step().unwrap().contains("proxy"), "{operation}: {error}");
    assert!(!format!("{error} {error:?}").contains(LEAK), "{error:?}");
}

const SIGNATURE_EXPIRED: &str =
    "Signature expired: 20261127T110000Z is now earlier than 20261127T114500Z (leak-hunter2)";
const SIGNATURE_NOT_YET_CURRENT: &str =
    "Signature not yet current: 20261127T130000Z is still later than 20261127T121500Z";

#[tokio::test]
async fn clock_skew_is_transient_and_names_the_clock() {
    for (code, message) in [
        ("SignatureDoesNotMatch", SIGNATURE_EXPIRED),
        ("SignatureDoesNotMatch", SIGNATURE_NOT_YET_CURRENT),
        ("InvalidSignatureException", SIGNATURE_EXPIRED),
        ("InvalidSignatureException", SIGNATURE_NOT_YET_CURRENT),
        ("RequestTimeTooSkewed", ""),
        ("RequestExpired", ""),
    ] {
        let http = HttpFixture::responding(403, refused(code, message));
        for (operation, provider) in sts_providers(&http) {
            let error = provider.provide().await.unwrap_err();
            assert_error(&error, Unavailable, code);
            assert_eq!(error.next_step(), Some("set the clock of this machine"), "{operation}: {error}");
        }
        let body = serde_json::json!({"__type": code, "message": message}).to_string();
        let error = secrets_manager_error(&HttpFixture::responding(400, body)).await;
        assert_error(&error, Unavailable, code);
        assert_eq!(error.next_step(), Some("set the clock of this machine"), "{error}");
    }
    let message = "The request signature we calculated does not match the signature you provided.";
    let error = sts_error(&HttpFixture::responding(403, refused("SignatureDoesNotMatch", message))).await;
    assert_error(&error, Denied, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn web_identity_key_sts_cannot_fetch_is_transient() {
    let message = "Couldn't retrieve verification key from your identity provider, please reference \
                   AssumeRoleWithWebIdentity documentation for requirements";
    let http = HttpFixture::responding(400, refused("InvalidIdentityToken", message));
    for (operation, provider) in sts_providers(&http) {
        let error = provider.provide().await.unwrap_err();
        assert_error(&error, Unavailable, "InvalidIdentityToken");
        assert!(error.next_step().unwrap().contains("identity provider"), "{operation}: {error}");
        assert_eq!(error.field(), None, "the token is not at fault: {error}");
    }
    let other = refused("InvalidIdentityToken", "Incorrect token audience");
    assert_error(&sts_error(&HttpFixture::responding(400, other)).await, Invalid, "InvalidIdentityToken");
}

#[tokio::test]
async fn disconnect_is_unavailable_and_no_response_is_timed_out() {
    for (behavior, kind) in
        [(PeerBehavior::Disconnects, Unavailable), (PeerBehavior::NeverResponds, TimedOut)]
    {
        assert_eq!(sts_error(&HttpFixture::new(behavior.clone())).await.kind(), kind);
        assert_eq!(secrets_manager_error(&HttpFixture::new(behavior)).await.kind(), kind);
    }
}

#[tokio::test]
async fn sdk_retries_transient_errors_only() {
    for (case, (http, attempts)) in [
        (HttpFixture::responding(503, refused("ServiceUnavailable", "")), 3),
        (HttpFixture::responding(400, refused("Throttling", "")), 3),
        (HttpFixture::new(PeerBehavior::Disconnects), 3),
        (HttpFixture::responding(403, refused("AccessDenied", "")), 1),
        (HttpFixture::responding(403, refused("ExpiredToken", "")), 1),
        (HttpFixture::responding(400, refused("MalformedPolicyDocument", "")), 1),
    ]
    .into_iter()
    .enumerate()
    {
        sts_error(&http).await;
        assert_eq!(http.requests().len(), attempts, "case {case}");
    }
}

#[tokio::test]
async fn error_code_with_unsafe_text_is_not_repeated() {
    for code in [format!("{LEAK} and more"), format!("{LEAK}\n"), LEAK.repeat(10)] {
        let error = sts_error(&HttpFixture::responding(400, refused(&code, ""))).await;
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("HTTP 400"), "{error}");
    }
}
