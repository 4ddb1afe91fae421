//! Checks of credentials before they are used or returned: a source must have some, and they must not have expired.

use valetkey_core::{Clock, Credentials, Error, ErrorKind, Result};

/// A set that is kept elsewhere, unless it has expired by `clock`. Not transient: somebody has to put a new one there.
#[cfg(any(feature = "memory", feature = "env", feature = "secrets-manager"))]
pub(crate) fn ensure_unexpired(
    credentials: Credentials,
    clock: &dyn Clock,
    next_step: &'static str,
) -> Result<Credentials> {
    if credentials.expiry().has_passed(clock.now()) {
        return Err(Error::new(ErrorKind::Expired, "the credentials kept there have expired")
            .with_next_step(next_step));
    }
    Ok(credentials)
}

/// A set that was just issued, unless it has expired by `clock`. Transient: the next one may have time left.
#[cfg(any(feature = "sts", feature = "sdk", feature = "process"))]
pub(crate) fn ensure_issued_valid(credentials: Credentials, clock: &dyn Clock) -> Result<Credentials> {
    if credentials.expiry().has_passed(clock.now()) {
        return Err(Error::new(ErrorKind::Unavailable, "the credentials had expired when they came")
            .with_next_step("check the clocks of this machine and of who issues them"));
    }
    Ok(credentials)
}

/// Fetches what to sign with. A failure is passed on with its kind and the name of who failed, except for one: a
/// provider whose source has nothing is broken, not absent. If it said `NotConfigured`, a chain would fall through to
/// somebody else's credentials.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
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

/// A token does not make long-lived keys temporary, whose ids begin with `AKIA`: they work without it.
#[cfg(feature = "sts")]
pub(crate) fn is_temporary(credentials: &Credentials) -> bool {
    credentials.has_session_token() && !credentials.access_key_id().as_str().starts_with("AKIA")
}
