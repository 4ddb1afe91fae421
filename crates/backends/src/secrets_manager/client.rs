//! One call to Secrets Manager: the version that was asked for, signed with what the source gave.

use std::fmt;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput};
use valetkey_core::{CredentialProvider, Credentials, Error, ExposeSecret, Result, SecretString};

use super::error;
use crate::{fault, source};

pub(super) const NAME: &str = "secrets-manager";
/// The field of a failure that is about which secret was asked for.
pub(super) const SECRET_ID: &str = "secret_id";

/// Which version of a secret is read.
#[derive(Debug, Clone)]
pub(super) enum Version {
    Stage(String),
    Id(String),
}

/// Reads secrets. A client of the SDK is made for each call, since it belongs to one identity; the connections are
/// the base's.
pub(super) struct Client {
    config: aws_sdk_secretsmanager::Config,
    source: Arc<dyn CredentialProvider>,
    version: Version,
}

impl Client {
    pub(super) fn new(config: &SdkConfig, source: Arc<dyn CredentialProvider>, version: Version) -> Self {
        Self { config: aws_sdk_secretsmanager::Config::new(config), source, version }
    }

    /// The credentials that the secret holds.
    pub(super) async fn read(&self, secret_id: &str) -> Result<Credentials> {
        let source = source::credentials(&*self.source).await?;
        let config = self.config.to_builder().credentials_provider(source.expose_to_sdk()).build();
        let call = aws_sdk_secretsmanager::Client::from_conf(config).get_secret_value().secret_id(secret_id);
        // The stage is always named: an emulator answers the version before, and a default is easily misread.
        let call = match &self.version {
            Version::Stage(stage) => call.version_stage(stage),
            Version::Id(id) => call.version_id(id),
        };
        let answer = call.send().await.map_err(|error| failed(&error))?;
        Credentials::from_json(text(answer)?.expose_secret(), NAME)
    }
}

fn failed(error: &SdkError<GetSecretValueError>) -> Error {
    let unknown = error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception);
    let error = fault::of_operation("GetSecretValue", error);
    if unknown { error.with_field(SECRET_ID) } else { error }
}

/// The text is moved, not copied, into what wipes it.
fn text(answer: GetSecretValueOutput) -> Result<SecretString> {
    if let Some(text) = answer.secret_string {
        return Ok(SecretString::from(text));
    }
    let bytes = answer.secret_binary.ok_or_else(error::empty)?.into_inner();
    String::from_utf8(bytes).map(SecretString::from).map_err(|_| error::not_text())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("version", &self.version)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
