//! Service error codes and HTTP statuses, by kind.
//!
//! The codes are those of the API references of STS and Secrets Manager and of the errors common to all services;
//! `InvalidToken` and the like are what emulators and S3 say.

use valetkey_core::ErrorKind;

const PACKED_POLICY_TOO_LARGE: &str = "PackedPolicyTooLarge";

/// The codes of each kind, without the suffix that some services add.
const CODES_BY_KIND: [(ErrorKind, &[&str]); 6] = [
    // The credentials that signed the request ran out. Another request with them fails in the same way.
    (ErrorKind::Expired, &["ExpiredToken", "TokenRefreshRequired", "InvalidSubjectCredentials"]),
    (
        ErrorKind::Denied,
        &[
            "AccessDenied",
            "UnrecognizedClient",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "InvalidSignature",
            "InvalidAccessKeyId",
            "InvalidToken",
            "InvalidSecurityToken",
            "MissingAuthenticationToken",
            "IncompleteSignature",
            "AuthFailure",
            "NotAuthorized",
            "UnauthorizedOperation",
            "OptInRequired",
            "IDPRejectedClaim",
            "DecryptionFailure",
        ],
    ),
    (
        ErrorKind::Invalid,
        &[
            "MalformedPolicyDocument",
            PACKED_POLICY_TOO_LARGE,
            "InvalidIdentityToken",
            "Validation",
            "ValidationError",
            "ResourceNotFound",
            "InvalidParameter",
            "InvalidParameterValue",
            "InvalidParameterCombination",
            "MissingParameter",
            "InvalidRequest",
            "InvalidNextToken",
            "InvalidAction",
            "RegionDisabled",
            "MalformedQueryString",
            "MalformedHttpRequest",
            "RequestEntityTooLarge",
            "UnknownOperation",
            "InvalidQueryParameter",
        ],
    ),
    (
        ErrorKind::Throttled,
        &[
            "Throttling",
            "Throttled",
            "ThrottledRequest",
            "RequestThrottled",
            "TooManyRequests",
            "TooManyRequestsError",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "SlowDown",
            "PriorRequestNotComplete",
        ],
    ),
    (ErrorKind::TimedOut, &["RequestTimeout"]),
    (
        ErrorKind::Unavailable,
        &[
            "InternalFailure",
            "InternalError",
            "InternalServiceError",
            "InternalService",
            "InternalServerError",
            "InternalServer",
            "IDPCommunicationError",
            "RequestAborted",
            "ServiceUnavailable",
            // The session that signed has less time left than was asked for. The next call asks for less.
            "InsufficientSessionLifetime",
        ],
    ),
];

/// The kind of a service error, and what to do about it; `None` for a code that is not known here.
pub(crate) fn classify(code: &str, message: Option<&str>) -> Option<(ErrorKind, &'static str)> {
    if let Some(trouble) = transient_condition(code, message) {
        return Some((ErrorKind::Unavailable, trouble.next_step()));
    }
    let known = |(_, codes): &&(ErrorKind, &[&str])| codes.contains(&strip_exception_suffix(code));
    CODES_BY_KIND.iter().find(known).map(|(kind, _)| (*kind, next_step_for(*kind, Some(code))))
}

/// The code as all services spell it; some add a suffix.
pub(crate) fn strip_exception_suffix(code: &str) -> &str {
    code.strip_suffix("Exception").unwrap_or(code)
}

/// Whether the code says that policies and tags were too large once they were packed.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) fn is_packed_policy_too_large(code: &str) -> bool {
    strip_exception_suffix(code) == PACKED_POLICY_TOO_LARGE
}

/// The kind of a response with a code that is not known here.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) fn kind_for_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        408 | 429 => kind_without_code(status),
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

/// The kind of a response without an error code. AWS always sends one, so it came from something in between: a proxy, a
/// sign-in page of a network, a load balancer. Such a response says nothing about the credentials. The next may come
/// from AWS, and one that claims success and cannot be read may be whole.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) fn kind_without_code(status: u16) -> ErrorKind {
    match status {
        408 => ErrorKind::TimedOut,
        429 => ErrorKind::Throttled,
        _ => ErrorKind::Unavailable,
    }
}

/// What to do about it, as far as the code or the kind tells.
pub(crate) fn next_step_for(kind: ErrorKind, code: Option<&str>) -> &'static str {
    match (kind, code.map(strip_exception_suffix)) {
        (_, Some("InvalidAction" | "UnknownOperation")) => {
            "check that region and endpoint URL lead to a service that knows the operation"
        }
        (_, Some("InsufficientSessionLifetime")) => "try again, or shorten the duration",
        (_, Some("RegionDisabled")) => "activate STS in that region, or name another region",
        (_, Some("MalformedPolicyDocument")) => "correct the session policy",
        (_, Some(PACKED_POLICY_TOO_LARGE)) => "shorten the session policies and tags",
        (_, Some("ResourceNotFound")) => "check the id, the region and the account it is looked for in",
        (_, Some("InvalidRequest")) => "restore the secret if it is scheduled for deletion, or name another",
        (ErrorKind::Denied, _) => "check whose credentials are used, and the policies and trust that apply",
        (ErrorKind::Expired, _) => "renew the credentials that this provider signs with",
        (ErrorKind::Invalid, _) => "check the settings of this provider",
        _ => "try again later",
    }
}

/// Trouble that passes, although its code is that of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransientCondition {
    /// The clocks of this machine and of AWS differ.
    ClockSkew,
    /// STS could not fetch the keys that verify an identity token.
    VerificationKeyUnavailable,
}

/// The trouble that a code and its message name, in the phrases that AWS uses. `None` leaves the code to decide.
pub(crate) fn transient_condition(code: &str, message: Option<&str>) -> Option<TransientCondition> {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    match strip_exception_suffix(code) {
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => {
            Some(TransientCondition::ClockSkew)
        }
        "SignatureDoesNotMatch" | "InvalidSignature"
            if ["signature expired", "signature not yet current"]
                .iter()
                .any(|said| message.contains(said)) =>
        {
            Some(TransientCondition::ClockSkew)
        }
        "InvalidIdentityToken" if message.contains("retrieve verification key") => {
            Some(TransientCondition::VerificationKeyUnavailable)
        }
        _ => None,
    }
}

impl TransientCondition {
    pub(crate) fn next_step(self) -> &'static str {
        match self {
            Self::ClockSkew => "set the clock of this machine",
            Self::VerificationKeyUnavailable => {
                "check that AWS can reach the identity provider, then try again"
            }
        }
    }
}
