//! What goes wrong with the token, by its setting and the remedy; its text and its path are never repeated.

use std::io;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError as Refusal;
use valetkey_core::{Error, ErrorKind};

use super::client::OPERATION;
use super::token::IdentityTokenSource;
use crate::fault;

/// What to do about a token that is of no use.
fn renewal_step(token: &IdentityTokenSource) -> &'static str {
    match token {
        IdentityTokenSource::File(_) => "have the identity provider's agent write a new token into that file",
        IdentityTokenSource::Provider(_) => "get a new token from the identity provider",
    }
}

/// An empty file may be one that is just being written anew.
pub(super) fn empty_token(token: &IdentityTokenSource) -> Error {
    let kind = match token {
        IdentityTokenSource::File(_) => ErrorKind::Unavailable,
        IdentityTokenSource::Provider(_) => ErrorKind::Invalid,
    };
    let field = token.field();
    Error::new(kind, format!("`{field}` holds no token")).with_field(field).with_next_step(renewal_step(token))
}

pub(super) fn invalid_length(token: &IdentityTokenSource) -> Error {
    Error::invalid(token.field(), "must hold a token of 4 to 20,000 characters").with_next_step(renewal_step(token))
}

pub(super) fn not_utf8() -> Error {
    Error::invalid("token_file", "is not valid UTF-8").with_next_step("name the file that holds the token")
}

pub(super) fn not_a_file() -> Error {
    Error::invalid("token_file", "does not name a file").with_next_step("name the file that holds the token")
}

/// Somebody has to put a missing or forbidden file right; any other failure may pass.
pub(super) fn unreadable_file(io_error: &io::Error) -> Error {
    let (kind, rule) = match io_error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::Invalid, "names a file that does not exist"),
        io::ErrorKind::PermissionDenied => (ErrorKind::Invalid, "names a file that may not be read"),
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
            (ErrorKind::Invalid, "names no possible file")
        }
        _ => (ErrorKind::Unavailable, "names a file that cannot be read now"),
    };
    Error::new(kind, format!("`token_file` {rule}"))
        .with_field("token_file")
        .with_next_step("check the path, and who may read it")
}

/// Whoever was asked has none. It was configured to be asked, so its absence is a fault: a chain must not fall through
/// to somebody else.
pub(super) fn token_unavailable(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotConfigured => Error::invalid("token", "could not be had")
            .with_next_step("configure what gives the token")
            .with_source(error),
        _ => error,
    }
}

/// What STS answered. What it says of the token is told under the token's setting.
pub(super) fn map_error(sdk_error: &SdkError<Refusal>, token: &IdentityTokenSource) -> Error {
    let code = sdk_error.as_service_error().and_then(ProvideErrorMetadata::code).map(fault::plain_code);
    let error = fault::from_sdk_error(OPERATION, sdk_error);
    match code {
        // The token may be sound: STS could not verify it now.
        _ if error.is_transient() => error,
        Some("ExpiredToken" | "InvalidIdentityToken" | "IDPRejectedClaim") => {
            error.with_field(token.field()).with_next_step(renewal_step(token))
        }
        _ => error,
    }
}
