//! The error kinds of service error codes and HTTP statuses, and the conversion of failures of the AWS SDK: kind, service
//! code, request id, no body.
//!
//! The codes are those of the API references of STS and Secrets Manager and of the errors common to all services.
//! Codes such as `InvalidToken` come from S3 and from emulators.

#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms"))]
mod sdk;

use valetkey_core::ErrorKind;

#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms"))]
pub(crate) use sdk::from_sdk_error;

const PACKED_POLICY_TOO_LARGE: &str = "PackedPolicyTooLarge";

/// The codes of each kind, without the suffix `Exception` that some services add.
const CODES_BY_KIND: [(ErrorKind, &[&str]); 6] = [
    // The credentials that signed the request have expired. Another request with them fails in the same way.
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
            // The session that signed expires before the requested duration. The next call requests less.
            "InsufficientSessionLifetime",
        ],
    ),
];

/// Returns the kind of a service error and its next step; `None` for an unknown code.
pub(crate) fn classify(code: &str, message: Option<&str>) -> Option<(ErrorKind, &'static str)> {
    if let Some(condition) = transient_condition(code, message) {
        return Some((ErrorKind::Unavailable, condition.next_step()));
    }
    let has_code = |(_, codes): &&(ErrorKind, &[&str])| codes.contains(&strip_exception_suffix(code));
    CODES_BY_KIND.iter().find(has_code).map(|(kind, _)| (*kind, next_step_for(*kind, Some(code))))
}

/// Removes the suffix that some services add to codes.
pub(crate) fn strip_exception_suffix(code: &str) -> &str {
    code.strip_suffix("Exception").unwrap_or(code)
}

/// Returns whether the code means that the packed policies and tags are too large.
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms"))]
pub(crate) fn is_packed_policy_too_large(code: &str) -> bool {
    strip_exception_suffix(code) == PACKED_POLICY_TOO_LARGE
}

/// Returns the kind of a response with an unknown code.
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms"))]
pub(crate) fn kind_for_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        408 | 429 => kind_without_code(status),
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

/// Returns the kind of a response without an error code.
///
/// AWS always sends a code, so the response came from an intermediary: a proxy, the sign-in page of a network, a load
/// balancer. It does not concern the credentials, and the next response may come from AWS. A truncated success is
/// transient as well.
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms"))]
pub(crate) fn kind_without_code(status: u16) -> ErrorKind {
    match status {
        408 => ErrorKind::TimedOut,
        429 => ErrorKind::Throttled,
        _ => ErrorKind::Unavailable,
    }
}

/// Returns the next step for a code, or else for a kind.
pub(crate) fn next_step_for(kind: ErrorKind, code: Option<&str>) -> &'static str {
    match (kind, code.map(strip_exception_suffix)) {
        (_, Some("InvalidAction" | "UnknownOperation")) => {
            "check that region and endpoint URL lead to a service that knows the operation"
        }
        (_, Some("InsufficientSessionLifetime")) => "try again, or shorten the duration",
        (_, Some("RegionDisabled")) => "activate STS in that region, or name another region",
        (_, Some("MalformedPolicyDocument")) => "correct the session policy",
        (_, Some(PACKED_POLICY_TOO_LARGE)) => "shorten the session policies and tags",
        (_, Some("ResourceNotFound")) => "check the id, the region and the account of the secret",
        (_, Some("InvalidRequest")) => "restore the secret if it is scheduled for deletion, or name another",
        (ErrorKind::Denied, _) => {
            "check which credentials sign the request, and the policies and trust that apply"
        }
        (ErrorKind::Expired, _) => "renew the credentials that this provider signs with",
        (ErrorKind::Invalid, _) => "check the settings of this provider",
        _ => "try again later",
    }
}

/// A transient condition with the code of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransientCondition {
    /// The clocks of this machine and of AWS differ.
    ClockSkew,
    /// STS could not fetch the keys that verify an identity token.
    VerificationKeyUnavailable,
}

/// Returns the transient condition that a code and its message identify, by the phrases that AWS uses. For `None`, the code
/// alone decides.
pub(crate) fn transient_condition(code: &str, message: Option<&str>) -> Option<TransientCondition> {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    match strip_exception_suffix(code) {
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => {
            Some(TransientCondition::ClockSkew)
        }
        "SignatureDoesNotMatch" | "InvalidSignature"
            if ["signature expired", "signature not yet current"]
                .iter()
                .any(|phrase| message.contains(phrase)) =>
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
