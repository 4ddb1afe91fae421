//! The errors of the registry.

use crate::{Error, ErrorKind};

/// The same error for a handle that never existed, one whose session has ended, and one of another principal. Its kind is
/// not `NotConfigured`, since a chain of providers would go on to the next provider then.
pub(super) fn unknown_handle() -> Error {
    Error::new(ErrorKind::Closed, "no session is open under this handle").with_next_step("open a new session")
}

/// The limit of one principal. Transient: room is made when a call ends.
pub(super) fn principal_full() -> Error {
    Error::new(ErrorKind::Throttled, "this principal has as many sessions as it may, and all are in use")
        .with_next_step("close one of them, or try again when a call has ended")
}

/// The limit of the whole registry. Transient: room is made when any session ends.
pub(super) fn registry_full() -> Error {
    Error::new(ErrorKind::Throttled, "the registry holds as many sessions as it may")
        .with_next_step("try again later, or raise the registry's capacity")
}

/// The text is not repeated in the message: it may be the handle of another session with a typing error.
pub(super) fn malformed_handle() -> Error {
    Error::invalid("handle", "must be 32 lower-case hexadecimal digits")
        .with_next_step("present the handle as it was given, or open a new session")
}
