//! `SecretsManagerApi`: three operations of Secrets Manager, signed by one identity.

use std::time::Duration;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::types::SecretValueEntry;
use aws_sdk_secretsmanager::{Client, Config};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::Blob;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use valetkey_core::{Credentials, Error, ErrorKind, ExposeSecret, Result, SecretString};

use super::cache::VersionKey;
use crate::client_config::new_retry_partition;
use crate::error;

pub(super) const NAME: &str = "secrets-manager";
pub(super) const CURRENT_STAGE: &str = "AWSCURRENT";
/// The field of errors about the name of the secret.
pub(super) const SECRET_ID_FIELD: &str = "secret_id";

/// The version of a secret to read.
#[derive(Debug, Clone)]
pub(super) enum VersionSelector {
    Stage(String),
    Id(String),
}

/// A client of the SDK. Each read makes one, because a client belongs to one identity; the connections are shared. Each
/// read has a retry quota of its own, because a resolver reads for many sessions.
pub(super) struct SecretsManagerApi(Client);

/// A version of a secret. Its text is cleared from memory when it is dropped.
pub(super) struct SecretValue {
    name: Option<String>,
    arn: Option<String>,
    version_id: Option<String>,
    stages: Vec<String>,
    payload: Result<SecretString>,
}

impl SecretsManagerApi {
    /// Creates a client that signs with `source`.
    pub(super) fn with_credentials(source: &Credentials, config: &Config) -> Self {
        let builder = config.to_builder().credentials_provider(source.expose_to_sdk());
        let partition = new_retry_partition(config.retry_config());
        Self(Client::from_conf(builder.retry_partition(partition).build()))
    }

    /// Returns one version of a secret, with its payload.
    pub(super) async fn get_secret_value(
        &self,
        secret_id: &str,
        version: &VersionSelector,
    ) -> Result<SecretValue> {
        let call = self.0.get_secret_value().secret_id(secret_id);
        // The stage is always sent, because the default of an emulator is the previous version.
        let call = match version {
            VersionSelector::Stage(stage) => call.version_stage(stage),
            VersionSelector::Id(id) => call.version_id(id),
        };
        call.send().await.map(SecretValue::from).map_err(|error| map_error("GetSecretValue", &error))
    }

    /// Returns the versions of a secret and their stages, without a payload.
    pub(super) async fn describe_secret(&self, secret_id: &str) -> Result<DescribeSecretOutput> {
        let call = self.0.describe_secret().secret_id(secret_id);
        call.send().await.map_err(|error| map_error("DescribeSecret", &error))
    }

    /// Returns the current versions of the secrets that can be read, in any order. The limit is 20 secrets.
    pub(super) async fn batch_get_current(&self, secret_ids: &[String]) -> Result<Vec<SecretValue>> {
        let call = self.0.batch_get_secret_value().set_secret_id_list(Some(secret_ids.to_vec()));
        let output = call.send().await.map_err(|error| map_error("BatchGetSecretValue", &error))?;
        Ok(output.secret_values.unwrap_or_default().into_iter().map(SecretValue::from).collect())
    }
}

/// Converts a failure of the SDK. A missing secret is an error about its id.
fn map_error<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error {
    let is_missing = error.code() == Some("ResourceNotFoundException");
    let error = error::from_sdk_error(operation, error);
    if is_missing { error.with_field(SECRET_ID_FIELD) } else { error }
}

impl SecretValue {
    /// Returns whether this is the current version of the secret with this name or ARN.
    pub(super) fn is_current_version_of(&self, secret_id: &str) -> bool {
        // An ARN without the suffix of the name does not match, so its secret is read singly.
        let name = secret_id.rsplit_once(':').map_or(secret_id, |(_, name)| name);
        self.stages.iter().any(|stage| stage == CURRENT_STAGE)
            && (self.name.as_deref() == Some(name) || self.arn.as_deref() == Some(secret_id))
    }

    /// Returns the credentials and their version. Without a version, they cannot be cached.
    pub(super) fn into_credentials(
        self,
        max_age: Option<Duration>,
    ) -> Result<(Option<VersionKey>, Credentials)> {
        let credentials = Credentials::from_json(self.payload?.expose_secret(), NAME)?;
        let version = self.arn.zip(self.version_id).map(|(arn, version_id)| VersionKey { arn, version_id });
        Ok((version, credentials.with_max_age(max_age)))
    }
}

impl From<GetSecretValueOutput> for SecretValue {
    fn from(output: GetSecretValueOutput) -> Self {
        let payload = match (output.secret_string, output.secret_binary) {
            (None, None) if output.arn.is_none() && output.name.is_none() => Err(incomplete_response()),
            (string, binary) => secret_text(string, binary),
        };
        Self {
            name: output.name,
            arn: output.arn,
            version_id: output.version_id,
            stages: output.version_stages.unwrap_or_default(),
            payload,
        }
    }
}

impl From<SecretValueEntry> for SecretValue {
    fn from(output: SecretValueEntry) -> Self {
        let payload = secret_text(output.secret_string, output.secret_binary);
        Self {
            name: output.name,
            arn: output.arn,
            version_id: output.version_id,
            stages: output.version_stages.unwrap_or_default(),
            payload,
        }
    }
}

/// Moves the text without a copy into a type that clears it from memory.
fn secret_text(string: Option<String>, binary: Option<Blob>) -> Result<SecretString> {
    match (string, binary) {
        (Some(text), _) => Ok(text.into()),
        (None, Some(bytes)) => {
            String::from_utf8(bytes.into_inner()).map(SecretString::from).map_err(|_| not_utf8())
        }
        (None, None) => Err(empty_secret()),
    }
}

fn empty_secret() -> Error {
    Error::invalid("secret", "has neither text nor bytes")
        .with_next_step("store a JSON object with `access_key_id` and `secret_access_key`")
}

/// Every response of Secrets Manager names its secret, so this one came from an intermediary.
fn incomplete_response() -> Error {
    Error::new(ErrorKind::Unavailable, "the response does not name a secret").with_next_step(
        "check the endpoint URL and whether a proxy or the sign-in page of a network responds, then try again",
    )
}

fn not_utf8() -> Error {
    Error::invalid("secret", "is not valid UTF-8")
        .with_next_step("store a JSON object with `access_key_id` and `secret_access_key`")
}
