//! `DisabledTokenProvider`: a token provider that always fails, so that the SDK loads no bearer token.

use aws_credential_types::provider::error::TokenError;
use aws_credential_types::provider::future;
use aws_credential_types::provider::token::ProvideToken;

/// Stands where the SDK, once it is built with single sign-on, would otherwise look for a token of the host's, and for
/// a region to get it in: from the instance metadata service, if nothing else says one.
#[derive(Debug)]
pub(super) struct DisabledTokenProvider;

impl ProvideToken for DisabledTokenProvider {
    fn provide_token<'a>(&'a self) -> future::ProvideToken<'a>
    where
        Self: 'a,
    {
        future::ProvideToken::ready(Err(TokenError::not_loaded("a base has no identity")))
    }
}
