//! Errors across the bridge. The SDK's are read for their kind and dropped, since they hold what was answered.

use std::error::Error as StdError;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_types::error::ErrorMetadata;
use valetkey_core::{Error, ErrorKind};

use crate::fault;

/// An SDK provider's failure as ours.
pub(crate) fn from_credentials_error(error: &CredentialsError) -> Error {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            Error::not_configured("the AWS SDK's provider found no credentials")
                .with_next_step("configure it, or use another provider")
        }
        CredentialsError::ProviderTimedOut(_) => {
            Error::new(ErrorKind::TimedOut, "the AWS SDK's provider did not answer in time")
                .with_next_step("try again")
        }
        CredentialsError::InvalidConfiguration(_) => refusal(error).unwrap_or_else(|| {
            Error::new(ErrorKind::Invalid, "the AWS SDK's provider is misconfigured")
                .with_next_step("check its profile and its settings")
        }),
        CredentialsError::ProviderError(_) => refusal(error).unwrap_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the AWS SDK's provider failed")
                .with_next_step("try again later")
        }),
        _ => Error::new(ErrorKind::Internal, "the AWS SDK's provider failed in a way it does not explain"),
    }
}

/// What a service refused, if a service did: the SDK buries the code in the causes.
pub(crate) fn refusal(error: &CredentialsError) -> Option<Error> {
    let causes = successors(error.source(), |cause: &&(dyn StdError + 'static)| (*cause).source());
    let mut services = causes.filter_map(|cause| cause.downcast_ref::<ErrorMetadata>());
    let error = services.find(|error| error.code().is_some())?;
    let (kind, next_step) = fault::classify(error.code()?, error.message())?;
    let refused = Error::new(kind, "the AWS SDK's provider was refused by a service");
    Some(match kind {
        kind if kind.is_transient() => refused.with_next_step(next_step),
        _ => refused.with_next_step("check its credentials, its role and its settings"),
    })
}

/// A session's failure as the SDK's. Ours holds no secret, so it goes along as the cause.
pub(super) fn into_credentials_error(error: Error) -> CredentialsError {
    match error.kind() {
        ErrorKind::NotConfigured => CredentialsError::not_loaded(error),
        ErrorKind::Invalid => CredentialsError::invalid_configuration(error),
        _ => CredentialsError::provider_error(error),
    }
}
