//! `SecretStore`: Secrets Manager with versioned secrets, each readable by the principals of some accounts.

use std::io;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::key_store::{CallerPrincipal, random_text};
use super::response::{AwsError, ErrorCode, ServiceResponse};
use super::services::{invalid_spec, now};
use super::spec::SecretSpec;

const REGION: &str = "us-east-1";
const SUFFIX_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const STAGE_CURRENT: &str = "AWSCURRENT";
const STAGE_PREVIOUS: &str = "AWSPREVIOUS";

/// The secrets of all accounts.
pub(super) struct SecretStore(Vec<StoredSecret>);

struct StoredSecret {
    account: String,
    name: String,
    arn: String,
    readers: Vec<String>,
    created_at: SystemTime,
    versions: Vec<SecretVersion>,
}

struct SecretVersion {
    id: String,
    value: SecretString,
    stages: Vec<&'static str>,
    created_at: SystemTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValueInput {
    secret_id: Option<String>,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeSecretInput {
    secret_id: Option<String>,
}

impl SecretStore {
    pub(super) fn from_specs(specs: Vec<SecretSpec>) -> io::Result<Self> {
        let mut store = Self(Vec::with_capacity(specs.len()));
        for spec in specs {
            if store.find_arn(&spec.account, &spec.name).is_some() {
                return Err(invalid_spec(format!(
                    "account {} has two secrets named {}",
                    spec.account, spec.name
                )));
            }
            store.0.push(StoredSecret::from(spec));
        }
        Ok(store)
    }

    pub(super) fn dispatch(
        &self,
        caller: &CallerPrincipal,
        action: &str,
        input: &Value,
    ) -> Result<ServiceResponse, AwsError> {
        match action {
            "GetSecretValue" => {
                let request: GetSecretValueInput = deserialize_input(input)?;
                let secret = self.find_readable(caller, action, request.secret_id.as_deref())?;
                secret
                    .find_version(&request)
                    .map(|version| ServiceResponse::Json(secret.value_response(version)))
            }
            "DescribeSecret" => {
                let request: DescribeSecretInput = deserialize_input(input)?;
                let secret = self.find_readable(caller, action, request.secret_id.as_deref())?;
                Ok(ServiceResponse::Json(secret.describe_response()))
            }
            _ => Err(AwsError::new(
                ErrorCode::UnknownAction,
                "The local AWS supports GetSecretValue and DescribeSecret only.",
            )),
        }
    }

    pub(super) fn find_arn(&self, account: &str, name: &str) -> Option<String> {
        self.0.iter().find(|it| it.account == account && it.name == name).map(|it| it.arn.clone())
    }

    pub(super) fn rotate(&mut self, name_or_arn: &str, value: &str) -> Option<String> {
        let mut named = self.0.iter_mut().filter(|it| it.arn == name_or_arn || it.name == name_or_arn);
        match (named.next(), named.next()) {
            (Some(secret), None) => Some(secret.rotate(value)),
            _ => None,
        }
    }

    fn find_readable(
        &self,
        caller: &CallerPrincipal,
        action: &str,
        id: Option<&str>,
    ) -> Result<&StoredSecret, AwsError> {
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
            AwsError::new(
                ErrorCode::Invalid,
                "1 validation error detected: Value null at 'secretId' must not be null",
            )
        })?;
        let action = format!("secretsmanager:{action}");
        let Some(secret) = self.find(caller, id) else {
            caller.check_allowed(&action, id)?;
            return Err(AwsError::new(
                ErrorCode::NotFound,
                "Secrets Manager can't find the specified secret.",
            ));
        };
        if !secret.is_readable_by(caller) {
            return Err(caller.access_denied(&action, id));
        }
        caller.check_allowed(&action, &secret.arn)?;
        Ok(secret)
    }

    /// Finds a secret by name or ARN: first among the caller's own, then among those shared with the caller, then among
    /// all others, so that the caller gets an access error rather than "not found". AWS searches names only in the
    /// caller's account.
    fn find(&self, caller: &CallerPrincipal, id: &str) -> Option<&StoredSecret> {
        let named = || self.0.iter().filter(|it| it.arn == id || it.name == id);
        let own = named().find(|it| it.account == caller.account);
        own.or_else(|| named().find(|it| it.is_readable_by(caller))).or_else(|| named().next())
    }
}

impl From<SecretSpec> for StoredSecret {
    fn from(spec: SecretSpec) -> Self {
        let suffix = random_text(SUFFIX_ALPHABET, 6);
        let first = SecretVersion::new_current(spec.value);
        Self {
            arn: format!("arn:aws:secretsmanager:{REGION}:{}:secret:{}-{suffix}", spec.account, spec.name),
            account: spec.account,
            name: spec.name,
            readers: spec.readers,
            created_at: first.created_at,
            versions: vec![first],
        }
    }
}

impl StoredSecret {
    fn is_readable_by(&self, caller: &CallerPrincipal) -> bool {
        self.readers.contains(&caller.account)
    }

    fn find_version(&self, request: &GetSecretValueInput) -> Result<&SecretVersion, AwsError> {
        let stage = match (&request.version_id, &request.version_stage) {
            (None, None) => Some(STAGE_CURRENT),
            (_, stage) => stage.as_deref(),
        };
        let fits = |it: &&SecretVersion| {
            request.version_id.as_ref().is_none_or(|id| *id == it.id)
                && stage.is_none_or(|stage| it.stages.contains(&stage))
        };
        self.versions.iter().find(fits).ok_or_else(|| {
            let what = match (&request.version_id, stage) {
                (Some(id), _) => format!("VersionId: {id}"),
                (None, stage) => format!("staging label: {}", stage.unwrap_or(STAGE_CURRENT)),
            };
            AwsError::new(
                ErrorCode::NotFound,
                format!("Secrets Manager can't find the specified secret value for {what}"),
            )
        })
    }

    fn rotate(&mut self, value: &str) -> String {
        for version in &mut self.versions {
            let was_current = version.stages.contains(&STAGE_CURRENT);
            version.stages = if was_current { vec![STAGE_PREVIOUS] } else { Vec::new() };
        }
        // AWS removes versions without a stage some time later; the local AWS removes them at once.
        self.versions.retain(|version| !version.stages.is_empty());
        let next = SecretVersion::new_current(value.into());
        let id = next.id.clone();
        self.versions.push(next);
        id
    }

    fn value_response(&self, version: &SecretVersion) -> Value {
        json!({
            "ARN": self.arn,
            "Name": self.name,
            "VersionId": version.id,
            "SecretString": version.value.expose_secret(),
            "VersionStages": version.stages,
            "CreatedDate": epoch_seconds(version.created_at),
        })
    }

    fn describe_response(&self) -> Value {
        let stages: Map<String, Value> =
            self.versions.iter().map(|version| (version.id.clone(), json!(version.stages))).collect();
        let changed = self.versions.iter().map(|version| version.created_at).max().unwrap_or(self.created_at);
        json!({
            "ARN": self.arn,
            "Name": self.name,
            "VersionIdsToStages": stages,
            "CreatedDate": epoch_seconds(self.created_at),
            "LastChangedDate": epoch_seconds(changed),
        })
    }
}

impl SecretVersion {
    fn new_current(value: SecretString) -> Self {
        Self { id: Uuid::new_v4().to_string(), value, stages: vec![STAGE_CURRENT], created_at: now() }
    }
}

fn epoch_seconds(time: SystemTime) -> f64 {
    DateTime::from(time).as_secs_f64()
}

fn deserialize_input<T: DeserializeOwned>(input: &Value) -> Result<T, AwsError> {
    T::deserialize(input)
        .map_err(|_| AwsError::new(ErrorCode::Malformed, "A member of the request has the wrong type."))
}
