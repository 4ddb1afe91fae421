//! Service error codes and HTTP statuses, by kind.
//!
//! The codes are those of the API references of STS and Secrets Manager and of the errors common to all services;
//! `InvalidToken` and the like are what emulators and S3 say.

use valetkey_core::ErrorKind;

/// The kind of a service error code; `None` for a code that is not known here.
pub(crate) fn kind_of_code(code: &str) -> Option<ErrorKind> {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    let kind = match code {
        // The credentials that signed the request ran out. Another request with them fails in the same way.
        "ExpiredToken" | "TokenRefreshRequired" => ErrorKind::Expired,
        "AccessDenied"
        | "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "InvalidSecurityToken"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "AuthFailure"
        | "NotAuthorized"
        | "UnauthorizedOperation"
        | "OptInRequired"
        | "DecryptionFailure" => ErrorKind::Denied,
        "MalformedPolicyDocument"
        | "PackedPolicyTooLarge"
        | "Validation"
        | "ValidationError"
        | "ResourceNotFound"
        | "InvalidParameter"
        | "InvalidParameterValue"
        | "InvalidParameterCombination"
        | "MissingParameter"
        | "InvalidRequest"
        | "InvalidNextToken"
        | "InvalidAction"
        | "UnknownOperation"
        | "MalformedHttpRequest"
        | "RequestEntityTooLarge"
        | "RegionDisabled"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "MalformedQueryString"
        | "InvalidQueryParameter" => ErrorKind::Invalid,
        _ => return kind_of_passing(code),
    };
    Some(kind)
}

/// The kind of a code that says nothing against the request: another may fare better.
fn kind_of_passing(code: &str) -> Option<ErrorKind> {
    let kind = match code {
        "Throttling"
        | "Throttled"
        | "ThrottledRequest"
        | "RequestThrottled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete" => ErrorKind::Throttled,
        "RequestTimeout" => ErrorKind::TimedOut,
        "InternalFailure"
        | "InternalError"
        | "InternalServiceError"
        | "InternalService"
        | "InternalServerError"
        | "InternalServer"
        | "RequestAborted"
        | "ServiceUnavailable" => ErrorKind::Unavailable,
        _ => return None,
    };
    Some(kind)
}

/// The kind of an answer without a known code. One that claims success and cannot be read was cut off, or came from
/// somebody in between: the next may be whole.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        408 => ErrorKind::TimedOut,
        429 => ErrorKind::Throttled,
        300..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

/// What to do about it, as far as the code or the kind tells.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) fn next_step(kind: ErrorKind, code: Option<&str>) -> &'static str {
    match (kind, code.map(|code| code.strip_suffix("Exception").unwrap_or(code))) {
        (_, Some("RegionDisabled")) => "activate STS in that region, or name another region",
        (_, Some("MalformedPolicyDocument")) => "correct the session policy",
        (_, Some("PackedPolicyTooLarge")) => "shorten the session policies and tags",
        (_, Some("ResourceNotFound")) => "check the id, the region and the account it is looked for in",
        (_, Some("InvalidRequest")) => "restore the secret if it is scheduled for deletion, or name another",
        (_, Some("RequestExpired" | "RequestTimeTooSkewed")) => "set the clock of this machine",
        (ErrorKind::Denied, _) => "check whose credentials are used, and the policies and trust that apply",
        (ErrorKind::Expired, _) => "renew the credentials that this provider signs with",
        (ErrorKind::Invalid, _) => "check the settings of this provider",
        _ => "try again later",
    }
}
