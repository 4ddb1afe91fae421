//! Checks of credentials before a provider uses or returns them: a source must have some, and they must not have expired.

use valetkey_core::{Credentials, Error, ErrorKind, Result};

/// Returns credentials of a store unless they have expired. The error is not transient: a new version must be stored.
#[cfg(any(feature = "memory", feature = "env", feature = "secrets-manager"))]
pub(crate) fn ensure_unexpired(
    credentials: Credentials,
    clock: &dyn valetkey_core::Clock,
    next_step: &'static str,
) -> Result<Credentials> {
    if credentials.expiry().has_passed(clock.now()) {
        return Err(
            Error::new(ErrorKind::Expired, "the stored credentials have expired").with_next_step(next_step)
        );
    }
    Ok(credentials)
}

/// Returns credentials that were just issued unless they have expired. The error is transient: the next ones may be
/// valid.
#[cfg(any(feature = "sts", feature = "sdk", feature = "process"))]
pub(crate) fn ensure_issued_valid(
    credentials: Credentials,
    clock: &dyn valetkey_core::Clock,
) -> Result<Credentials> {
    if credentials.expiry().has_passed(clock.now()) {
        return Err(Error::new(ErrorKind::Unavailable, "the issued credentials have already expired")
            .with_next_step("check the clocks of this machine and of the issuer"));
    }
    Ok(credentials)
}

/// Fetches the credentials that a provider signs with.
///
/// An error keeps its kind and names the source, with one exception: a source that is not configured makes the
/// provider `Invalid`. As `NotConfigured`, it would let a chain fall through to the credentials of another identity.
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms"))]
pub(crate) async fn source_credentials(
    source: &dyn valetkey_core::CredentialProvider,
) -> Result<Credentials> {
    source.credentials().await.map_err(|error| match error.kind() {
        ErrorKind::NotConfigured => Error::invalid("source", "has no credentials to sign with")
            .with_next_step("the person who configured this account must give its source credentials")
            .with_source(error),
        _ => error.with_provider(source.name()),
    })
}

/// Returns whether the credentials are temporary. Keys whose ids begin with `AKIA` are long-lived even with a session
/// token, because they work without it.
#[cfg(feature = "sts")]
pub(crate) fn is_temporary(credentials: &Credentials) -> bool {
    credentials.has_session_token() && !credentials.access_key_id().as_str().starts_with("AKIA")
}
