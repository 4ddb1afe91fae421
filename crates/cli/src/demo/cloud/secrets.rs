//! The Secrets Manager: versioned secrets, each readable by the principals of some accounts.

use std::io;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::{Answer, Fault, Refusal};
use super::identity::{Principal, random_text};
use super::plan::SecretPlan;
use super::{impossible, now};

const REGION: &str = "us-east-1";
const SUFFIX_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// All secrets of all accounts.
pub(super) struct Vault(Vec<Secret>);

struct Secret {
    account: String,
    name: String,
    arn: String,
    readers: Vec<String>,
    created: SystemTime,
    versions: Vec<Version>,
}

struct Version {
    id: String,
    value: String,
    stages: Vec<&'static str>,
    created: SystemTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: Option<String>,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeSecret {
    secret_id: Option<String>,
}

impl Vault {
    pub(super) fn of_secrets(plans: Vec<SecretPlan>) -> io::Result<Self> {
        let mut vault = Self(Vec::with_capacity(plans.len()));
        for plan in plans {
            if vault.arn_of(&plan.account, &plan.name).is_some() {
                return Err(impossible(format!(
                    "account {} has two secrets named {}",
                    plan.account, plan.name
                )));
            }
            vault.0.push(Secret::from(plan));
        }
        Ok(vault)
    }

    pub(super) fn answer(&self, caller: &Principal, action: &str, input: &Value) -> Result<Answer, Refusal> {
        match action {
            "GetSecretValue" => {
                let asked: GetSecretValue = typed(input)?;
                let secret = self.readable(caller, action, asked.secret_id.as_deref())?;
                secret.version(&asked).map(|version| Answer::Json(secret.value(version)))
            }
            "DescribeSecret" => {
                let asked: DescribeSecret = typed(input)?;
                let secret = self.readable(caller, action, asked.secret_id.as_deref())?;
                Ok(Answer::Json(secret.description()))
            }
            _ => Err(Refusal::new(
                Fault::UnknownAction,
                "This cloud reads secrets and describes them, no more.",
            )),
        }
    }

    pub(super) fn arn_of(&self, account: &str, name: &str) -> Option<String> {
        self.0.iter().find(|it| it.account == account && it.name == name).map(|it| it.arn.clone())
    }

    pub(super) fn rotate(&mut self, name_or_arn: &str, value: &str) -> Option<String> {
        let mut named = self.0.iter_mut().filter(|it| it.arn == name_or_arn || it.name == name_or_arn);
        match (named.next(), named.next()) {
            (Some(secret), None) => Some(secret.rotate(value)),
            _ => None,
        }
    }

    fn readable(&self, caller: &Principal, action: &str, id: Option<&str>) -> Result<&Secret, Refusal> {
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
            Refusal::new(
                Fault::Invalid,
                "1 validation error detected: Value null at 'secretId' must not be null",
            )
        })?;
        let action = format!("secretsmanager:{action}");
        let Some(secret) = self.find(caller, id) else {
            caller.check(&action, id)?;
            return Err(Refusal::new(Fault::NotFound, "Secrets Manager can't find the specified secret."));
        };
        if !secret.admits(caller) {
            return Err(caller.refused(&action, id));
        }
        caller.check(&action, &secret.arn)?;
        Ok(secret)
    }

    /// A name means the caller's own secret first. Failing that, somebody else's is found, so that being refused
    /// shows as that: AWS looks up names in one account only, and wants an ARN for what is shared.
    fn find(&self, caller: &Principal, id: &str) -> Option<&Secret> {
        let named = || self.0.iter().filter(|it| it.arn == id || it.name == id);
        let own = named().find(|it| it.account == caller.account);
        own.or_else(|| named().find(|it| it.admits(caller))).or_else(|| named().next())
    }
}

impl From<SecretPlan> for Secret {
    fn from(plan: SecretPlan) -> Self {
        let suffix = random_text(SUFFIX_ALPHABET, 6);
        let first = Version::current(plan.value);
        Self {
            arn: format!("arn:aws:secretsmanager:{REGION}:{}:secret:{}-{suffix}", plan.account, plan.name),
            account: plan.account,
            name: plan.name,
            readers: plan.readers,
            created: first.created,
            versions: vec![first],
        }
    }
}

impl Secret {
    fn admits(&self, caller: &Principal) -> bool {
        self.readers.contains(&caller.account)
    }

    fn version(&self, asked: &GetSecretValue) -> Result<&Version, Refusal> {
        let stage = match (&asked.version_id, &asked.version_stage) {
            (None, None) => Some(CURRENT),
            (_, stage) => stage.as_deref(),
        };
        let fits = |it: &&Version| {
            asked.version_id.as_ref().is_none_or(|id| *id == it.id)
                && stage.is_none_or(|stage| it.stages.contains(&stage))
        };
        self.versions.iter().find(fits).ok_or_else(|| {
            let what = match (&asked.version_id, stage) {
                (Some(id), _) => format!("VersionId: {id}"),
                (None, stage) => format!("staging label: {}", stage.unwrap_or(CURRENT)),
            };
            Refusal::new(
                Fault::NotFound,
                format!("Secrets Manager can't find the specified secret value for {what}"),
            )
        })
    }

    fn rotate(&mut self, value: &str) -> String {
        for version in &mut self.versions {
            let was_current = version.stages.contains(&CURRENT);
            version.stages = if was_current { vec![PREVIOUS] } else { Vec::new() };
        }
        // AWS cleans up what no stage names any more, at a time of its own; here that is at once.
        self.versions.retain(|version| !version.stages.is_empty());
        let next = Version::current(value.to_owned());
        let id = next.id.clone();
        self.versions.push(next);
        id
    }

    fn value(&self, version: &Version) -> Value {
        json!({
            "ARN": self.arn,
            "Name": self.name,
            "VersionId": version.id,
            "SecretString": version.value,
            "VersionStages": version.stages,
            "CreatedDate": epoch(version.created),
        })
    }

    fn description(&self) -> Value {
        let stages: Map<String, Value> =
            self.versions.iter().map(|version| (version.id.clone(), json!(version.stages))).collect();
        let changed = self.versions.iter().map(|version| version.created).max().unwrap_or(self.created);
        json!({
            "ARN": self.arn,
            "Name": self.name,
            "VersionIdsToStages": stages,
            "CreatedDate": epoch(self.created),
            "LastChangedDate": epoch(changed),
        })
    }
}

impl Version {
    fn current(value: String) -> Self {
        Self { id: Uuid::new_v4().to_string(), value, stages: vec![CURRENT], created: now() }
    }
}

fn epoch(time: SystemTime) -> f64 {
    DateTime::from(time).as_secs_f64()
}

fn typed<T: DeserializeOwned>(input: &Value) -> Result<T, Refusal> {
    T::deserialize(input)
        .map_err(|_| Refusal::new(Fault::Malformed, "A member of the request is not of its type."))
}
