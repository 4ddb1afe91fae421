//! What goes wrong beside the call itself.

use valetkey_core::Error;

pub(super) fn duration_exceeds_chaining_limit() -> Error {
    Error::invalid("duration", "must be at most 3,600 s, since the source's credentials are temporary")
        .with_next_step("shorten it, or assume the role with long-lived credentials")
}
