//! The last check of what is kept elsewhere: a set that has run out is not handed on.

use valetkey_core::{Clock, Credentials, Error, ErrorKind, Result};

/// `credentials`, unless they have expired by `clock`. Not transient: somebody has to put new ones there.
pub(crate) fn unexpired(
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
