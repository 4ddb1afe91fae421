//! What goes wrong beside the call itself.

use valetkey_core::{Error, ErrorKind};

use super::operation::OPERATION;

/// STS scopes down sessions, and long-lived keys belong to none.
pub(super) fn long_lived_source() -> Error {
    Error::invalid("source", format!("has long-lived credentials, which {OPERATION} does not take"))
        .with_next_step(
            "exchange them first: put a FederationProvider in between, or a role assumed with them",
        )
}

/// Permanent: whoever answered so once does not know the operation.
pub(super) fn not_scoped_down() -> Error {
    Error::new(ErrorKind::Invalid, format!("the answer to {OPERATION} does not show that it was scoped down"))
        .with_field("policy")
        .with_next_step(format!(
            "check that region and endpoint URL lead to an STS that knows {OPERATION}, or narrow a role in its place"
        ))
}
