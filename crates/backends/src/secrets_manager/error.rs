//! What goes wrong beside the call itself.

use valetkey_core::{Error, ErrorKind};

use super::calls::SECRET_ID_FIELD;

pub(super) fn empty_secret() -> Error {
    Error::invalid("secret", "holds neither text nor bytes")
        .with_next_step("store a JSON object with `access_key_id` and `secret_access_key`")
}

/// Every response of Secrets Manager names its secret, so this one came from something in between.
pub(super) fn incomplete_response() -> Error {
    Error::new(ErrorKind::Unavailable, "the response does not name a secret").with_next_step(
        "check the endpoint URL and whether a proxy or the sign-in page of a network responds, then try again",
    )
}

pub(super) fn not_utf8() -> Error {
    Error::invalid("secret", "is not valid UTF-8")
        .with_next_step("store a JSON object with `access_key_id` and `secret_access_key`")
}

pub(super) fn id_with_colon() -> Error {
    Error::invalid("provider_credential_id", "must not hold a colon here: it would name a secret of its own")
        .with_next_step("check the id of the stack job")
}

pub(super) fn scheduled_for_deletion() -> Error {
    Error::invalid(SECRET_ID_FIELD, "names a secret that is scheduled for deletion")
        .with_next_step("restore the secret, or name another")
}
