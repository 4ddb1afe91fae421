//! What the SDK's failures mean for whoever chose to ask it.

use valetkey_core::{Error, ErrorKind};

use super::chain::SourceKind;
use super::sign_in::SignIn;

pub(super) fn map_error(error: Error, choice: &SourceKind) -> Error {
    match (choice, error.kind()) {
        // Somebody named it: a chain must not fall through to somebody else's credentials.
        (SourceKind::Profile(_), ErrorKind::NotConfigured) => {
            Error::invalid("profile", "is not defined, or names no credentials").with_next_step(
                "check its name, and the files that `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name",
            )
        }
        (SourceKind::Profile(_), ErrorKind::Invalid) if error.field().is_none() => {
            error.with_field("profile")
        }
        (SourceKind::DefaultChain, ErrorKind::NotConfigured) => {
            error.with_next_step("configure the AWS SDK on this machine, or use another provider")
        }
        _ => error,
    }
}

/// Not transient: trying again does not help. Credentials that still work are served until they expire.
pub(super) fn sign_in_required(sign_in: &SignIn) -> Error {
    Error::new(ErrorKind::InteractionRequired, "the sign-in of the profile ended, or was never made")
        .with_field("profile")
        .with_next_step(format!("run `{}`, then refresh the account", sign_in.renewing_command()))
}

/// A failure that may pass, of which the SDK says no more.
pub(super) fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "the AWS SDK's provider failed").with_next_step("try again later")
}
