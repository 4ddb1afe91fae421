//! What goes wrong beside the call itself.

use valetkey_core::Error;

/// STS exchanges the keys of a user, and nothing that it has issued itself.
pub(super) fn temporary_source() -> Error {
    Error::invalid("source", "has temporary credentials, which STS does not exchange").with_next_step(
        "give it the long-lived keys of an IAM user, use the temporary credentials as they are, or assume a role \
         with them",
    )
}

/// A federated user has no MFA: what the user's policies allow only with it would be gone without a word.
pub(super) fn mfa_scope_down_unsupported() -> Error {
    Error::invalid("policy", "cannot be put on an exchange with MFA")
        .with_next_step("assume a role with what is exchanged, and narrow that")
}
