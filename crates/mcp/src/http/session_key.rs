//! `SessionKey`: what a request presents to select a credential session.

use std::str::FromStr;

use valetkey_core::{Error, ExposeSecret, SessionHandle};
use valetkey_store::ClientHandle;

/// The handle of a credential session, as a client presents it. `Debug` shows a few digits.
#[derive(Debug, Clone)]
pub(super) enum SessionKey {
    /// A session of this node alone.
    Local(SessionHandle),
    /// A session in the store that several nodes share.
    Shared(ClientHandle),
}

impl SessionKey {
    /// Returns the whole handle, for the client that it belongs to.
    pub(super) fn expose(&self) -> String {
        match self {
            Self::Local(handle) => handle.to_string(),
            Self::Shared(handle) => handle.expose().expose_secret().to_owned(),
        }
    }

    /// Returns whether both are the same handle.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local(handle), Self::Local(other)) => handle == other,
            (Self::Shared(handle), Self::Shared(other)) => handle.is_same(other),
            _ => false,
        }
    }
}

/// # Errors
/// `Invalid`, without the text.
impl FromStr for SessionKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.contains('.') { text.parse().map(Self::Shared) } else { text.parse().map(Self::Local) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_key_of_either_kind_round_trips() {
        let local = SessionKey::Local(SessionHandle::random());
        let shared = SessionKey::Shared(ClientHandle::random().unwrap());
        for key in [&local, &shared] {
            let parsed: SessionKey = key.expose().parse().unwrap();
            assert!(parsed.is_same(key));
        }
        assert!(!local.is_same(&shared));
        assert!("hunter2".parse::<SessionKey>().is_err() && "vk1.a.b".parse::<SessionKey>().is_err());
    }
}
