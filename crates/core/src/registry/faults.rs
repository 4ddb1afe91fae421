//! The faults a registry itself raises, in one place so that their words agree.

use crate::{Error, ErrorKind};

/// One and the same for a handle that never was, one that was closed or ran out, and one of somebody else's session.
/// Not `NotConfigured`, with which a chain of providers would go on to the next.
pub(super) fn unknown() -> Error {
    Error::new(ErrorKind::Closed, "no session is open under this handle").with_next_step("open a new session")
}

pub(super) fn principal_full() -> Error {
    Error::new(ErrorKind::Throttled, "this principal has as many sessions as it may, and all are in use")
        .with_next_step("close one of them, or try again when a call has ended")
}

pub(super) fn registry_full() -> Error {
    Error::new(ErrorKind::Throttled, "the registry holds as many sessions as it may")
        .with_next_step("try again later, or raise the registry's capacity")
}

pub(super) fn malformed_handle() -> Error {
    Error::invalid("handle", "must be 32 lower-case hexadecimal digits")
        .with_next_step("present the handle as it was given, or open a new session")
}
