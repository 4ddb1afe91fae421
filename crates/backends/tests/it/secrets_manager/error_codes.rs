//! Every error code of the three operations, by kind, and what follows from it.

use valetkey_backends::{SecretsManagerProvider, SecretsManagerResolver};
use valetkey_core::ErrorKind::{self, Denied, Expired, Invalid, Throttled, TimedOut, Unavailable};
use valetkey_core::{CredentialProvider, Error};

use super::fixture::{BATCH, DESCRIBE, GET, SecretsManagerFixture};
use crate::http_fixture::REQUEST_ID;
use crate::static_source;

/// Those of the API references of GetSecretValueInput, DescribeSecretInput and BatchGetSecretValue, those common to all services,
/// and some that services return although neither lists them.
const CODES: [(&str, ErrorKind); 31] = [
    ("DecryptionFailure", Denied),
    ("InternalServiceError", Unavailable),
    ("InvalidNextTokenException", Invalid),
    ("InvalidParameterException", Invalid),
    ("InvalidRequestException", Invalid),
    ("ResourceNotFoundException", Invalid),
    ("AccessDeniedException", Denied),
    ("ExpiredTokenException", Expired),
    ("IncompleteSignature", Denied),
    ("IncompleteSignatureException", Denied),
    ("InternalFailure", Unavailable),
    ("InternalServerException", Unavailable),
    ("MalformedHttpRequestException", Invalid),
    ("MissingAuthenticationToken", Denied),
    ("NotAuthorized", Denied),
    ("OptInRequired", Denied),
    ("RequestAbortedException", Unavailable),
    ("RequestEntityTooLargeException", Invalid),
    ("RequestExpired", Unavailable),
    ("RequestTimeoutException", TimedOut),
    ("ServiceUnavailable", Unavailable),
    ("ServiceUnavailableException", Unavailable),
    ("ThrottlingException", Throttled),
    ("TooManyRequestsException", Throttled),
    ("UnknownOperationException", Invalid),
    ("UnrecognizedClientException", Denied),
    ("InvalidClientTokenId", Denied),
    ("InvalidSignatureException", Denied),
    ("ValidationError", Invalid),
    ("ValidationException", Invalid),
    ("SomethingNew", Invalid),
];

fn provider(service: &SecretsManagerFixture) -> SecretsManagerProvider {
    SecretsManagerProvider::builder("agent", static_source())
        .client_config(&service.client_config())
        .build()
        .unwrap()
}

fn assert_error(error: &Error, kind: ErrorKind, operation: &str, code: &str) {
    assert_eq!(error.kind(), kind, "{operation}, {code}: {error}");
    let message = error.message();
    assert!([operation, code, REQUEST_ID].iter().all(|part| message.contains(part)), "{error}");
    assert!(error.next_step().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn get_secret_value_error_maps_to_kind() {
    for (code, kind) in CODES {
        let service = SecretsManagerFixture::with_agent();
        service.fail_operation(GET, code);
        assert_error(&provider(&service).provide().await.unwrap_err(), kind, GET, code);
    }
}

#[tokio::test]
async fn describe_secret_error_maps_to_kind_unless_denied() {
    for (code, kind) in CODES {
        let service = SecretsManagerFixture::with_agent();
        let provider = provider(&service);
        provider.provide().await.unwrap();
        service.fail_operation(DESCRIBE, code);
        match provider.provide().await {
            Ok(_) => assert_eq!(kind, Denied, "{code}"),
            Err(error) => {
                assert_error(&error, kind, DESCRIBE, code);
                assert_ne!(kind, Denied, "{code}: the payload may still be read");
            }
        }
    }
}

#[tokio::test]
async fn prefetch_batch_error_fails_or_reads_singly() {
    for (code, kind) in CODES {
        let service = SecretsManagerFixture::with_agent();
        let resolver = SecretsManagerResolver::builder("age", static_source())
            .client_config(&service.client_config())
            .build()
            .unwrap();
        service.fail_operation(BATCH, code);
        let faults = resolver.prefetch(&["nt".parse().unwrap()]).await;
        assert_eq!(faults.len(), usize::from(kind.is_transient()), "{code}");
        faults.iter().for_each(|(_, error)| assert_error(error, kind, BATCH, code));
        assert_eq!(service.take_calls().contains('G'), !kind.is_transient(), "{code}");
    }
}
