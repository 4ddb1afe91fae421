//! The one place where a failure of the AWS SDK becomes an error of ours: kind, service code, request id, no body.

mod code;
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
mod sdk;

#[cfg(feature = "sdk")]
pub(crate) use code::classify;
#[cfg(feature = "sts")]
pub(crate) use code::strip_exception_suffix as plain_code;
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) use sdk::from_sdk_error;
