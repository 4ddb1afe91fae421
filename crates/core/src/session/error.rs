//! The errors that a session itself returns, in one place so that their wording agrees.

use crate::{AccountName, Error, ErrorKind};

/// Reports that the current credentials have expired. An error that requires a person is returned unchanged, since it
/// says what to do.
pub(crate) fn expired(cause: Option<Error>) -> Error {
    let error = Error::new(ErrorKind::Expired, "the session's credentials have expired")
        .with_next_step("set or refresh the credentials of this session");
    match cause {
        Some(cause) if cause.kind() == ErrorKind::InteractionRequired => cause,
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

pub(crate) fn not_configured() -> Error {
    Error::not_configured("no credentials are set in this session")
        .with_next_step("set credentials on it, or give it a provider")
}

/// An account with a provider can be resumed as well.
pub(crate) fn cleared(has_provider: bool) -> Error {
    let next_step = if has_provider {
        "set credentials on it, or refresh this account explicitly to use its configured provider again"
    } else {
        "set credentials on it"
    };
    Error::not_configured("this session was cleared").with_next_step(next_step)
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the session is closed").with_next_step("open a new session")
}

pub(crate) fn cleared_meanwhile() -> Error {
    Error::new(ErrorKind::Unavailable, "the session was cleared while its credentials were looked up")
        .with_next_step("look them up again if they are still wanted")
}

pub(crate) fn not_allowed(allowed: &[AccountName]) -> Error {
    let allowed: Vec<_> = allowed.iter().map(AccountName::as_str).collect();
    Error::new(ErrorKind::Denied, "this session may not have an account of that name")
        .with_field("account")
        .with_next_step(format!("use one of: {}", allowed.join(", ")))
}

pub(crate) fn narrowed() -> Error {
    Error::new(ErrorKind::Denied, "a narrowed session takes neither credentials nor providers")
        .with_next_step("use what it has, or open another session for them")
}

pub(crate) fn manually_set() -> Error {
    Error::invalid("policy", "cannot be put on credentials that were set directly")
        .with_next_step("narrow an account whose provider assumes a role with them, or federates them")
}
