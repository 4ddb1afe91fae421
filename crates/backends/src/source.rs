//! The credentials that a provider signs with, and what it means when they cannot be had.

use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Result};

/// Fetches what to sign with. A failure is passed on with its kind and the name of who failed, except for one: a
/// provider whose source has nothing is broken, not absent. If it said `NotConfigured`, a chain would fall through to
/// somebody else's credentials.
pub(crate) async fn source_credentials(source: &dyn CredentialProvider) -> Result<Credentials> {
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
