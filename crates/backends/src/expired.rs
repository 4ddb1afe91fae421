//! The last check before a set is handed on: one that has run out is not.

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
