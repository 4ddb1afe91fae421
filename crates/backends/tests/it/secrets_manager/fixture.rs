//! A fake Secrets Manager behind the HTTP fixture: versions, stages, configured errors, and a record of its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use valetkey_backends::AwsClientConfig;

use crate::http_fixture::{HttpFixture, SentRequest};

pub(crate) const GET: &str = "GetSecretValue";
pub(crate) const DESCRIBE: &str = "DescribeSecret";
pub(crate) const BATCH: &str = "BatchGetSecretValue";

type Hook = Box<dyn FnOnce() + Send>;

/// Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct SecretsManagerFixture(Arc<Mutex<FixtureState>>);

#[derive(Default)]
struct FixtureState {
    secrets: BTreeMap<String, StoredSecret>,
    made: usize,
    /// The code that an operation is refused with; empty to hang up.
    failures: BTreeMap<&'static str, &'static str>,
    calls: Vec<String>,
    /// Run once, while the operation is under way.
    hooks: BTreeMap<&'static str, Hook>,
}

struct StoredSecret {
    arn: String,
    deleted: bool,
    versions: BTreeMap<String, StoredVersion>,
}

struct StoredVersion {
    text: String,
    stages: Vec<String>,
}

/// The credentials of a numbered key.
pub(crate) fn credentials_json(n: u64) -> String {
    json!({ "access_key_id": key_id(n), "secret_access_key": format!("hunter2-{n}") }).to_string()
}

pub(crate) fn key_id(n: u64) -> String {
    format!("AKIA{n:016}")
}

pub(crate) fn version_id(n: u64) -> String {
    format!("{n:032}")
}

impl SecretsManagerFixture {
    /// Holding key 1 as version 1 of `agent`.
    pub(crate) fn with_agent() -> Self {
        let fixture = Self::default();
        fixture.rotate("agent", 1);
        fixture
    }

    /// Makes key `n` the current version, and the secret if need be.
    pub(crate) fn rotate(&self, name: &str, n: u64) {
        self.put(name, n, &credentials_json(n), "AWSCURRENT");
    }

    /// Stores `text` as version `n`, at `stage`.
    pub(crate) fn put(&self, name: &str, n: u64, text: &str, stage: &str) {
        let mut state = self.lock_state();
        state.made += 1;
        let arn = format!("arn:aws:secretsmanager:us-east-1:111111111111:secret:{name}-{:06}", state.made);
        let empty = || StoredSecret { arn, deleted: false, versions: BTreeMap::new() };
        let secret = state.secrets.entry(name.to_owned()).or_insert_with(empty);
        let version = StoredVersion { text: text.to_owned(), stages: Vec::new() };
        secret.versions.insert(version_id(n), version);
        drop(state);
        self.move_stage(name, n, stage);
    }

    /// Moves a stage to version `n`. What was current is the previous version then.
    pub(crate) fn move_stage(&self, name: &str, n: u64, stage: &str) {
        let mut state = self.lock_state();
        let versions = &mut state.secrets.get_mut(name).unwrap().versions;
        for version in versions.values_mut() {
            let was_current = version.stages.iter().any(|it| it == "AWSCURRENT");
            version.stages.retain(|it| it != stage && (stage != "AWSCURRENT" || it != "AWSPREVIOUS"));
            if stage == "AWSCURRENT" && was_current {
                version.stages.push("AWSPREVIOUS".to_owned());
            }
        }
        versions.get_mut(&version_id(n)).unwrap().stages.push(stage.to_owned());
    }

    pub(crate) fn schedule_deletion(&self, name: &str) {
        self.lock_state().secrets.get_mut(name).unwrap().deleted = true;
    }

    pub(crate) fn remove(&self, name: &str) {
        self.lock_state().secrets.remove(name).unwrap();
    }

    /// Lets `operation` fail with `code`; with an empty code there is no response.
    pub(crate) fn fail_operation(&self, operation: &'static str, code: &'static str) {
        self.lock_state().failures.insert(operation, code);
    }

    pub(crate) fn allow_operation(&self, operation: &'static str) {
        self.lock_state().failures.remove(operation);
    }

    /// Runs `work` during the next call of `operation`: after the request, before the response.
    pub(crate) fn run_during(&self, operation: &'static str, work: impl FnOnce() + Send + 'static) {
        self.lock_state().hooks.insert(operation, Box::new(work));
    }

    /// Returns the calls since the last call of this function, by their first letters: `G`et, `D`escribe, `B`atch.
    pub(crate) fn take_calls(&self) -> String {
        let calls = std::mem::take(&mut self.lock_state().calls);
        calls.iter().map(|operation| operation.chars().next().unwrap()).collect()
    }

    pub(crate) fn client_config(&self) -> AwsClientConfig {
        let fixture = self.clone();
        HttpFixture::with_reply(move |sent| fixture.respond(sent)).client_config()
    }

    fn respond(&self, sent: &SentRequest) -> Option<(u16, String)> {
        let operation = sent.headers["x-amz-target"].strip_prefix("secretsmanager.").unwrap().to_owned();
        let input = sent.json();
        self.lock_state().calls.push(operation.clone());
        let response = self.lock_state().respond(&operation, &input);
        let hook = self.lock_state().hooks.remove(operation.as_str());
        if let Some(hook) = hook {
            hook();
        }
        match response {
            Ok(body) => Some((200, body.to_string())),
            Err("") => None,
            Err(code) => Some((400, json!({ "__type": code, "message": "hunter2" }).to_string())),
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, FixtureState> {
        self.0.lock().unwrap()
    }
}

impl FixtureState {
    fn respond(&self, operation: &str, input: &Value) -> Result<Value, &'static str> {
        if let Some(code) = self.failures.get(operation) {
            return Err(code);
        }
        match operation {
            GET => self.get_value(input),
            DESCRIBE => self.describe(input),
            BATCH => Ok(self.batch_get(input)),
            _ => Err("UnknownOperationException"),
        }
    }

    fn find(&self, id: &str) -> Result<(&String, &StoredSecret), &'static str> {
        let named = |(name, secret): &(&String, &StoredSecret)| {
            let without_suffix = secret.arn.rsplit_once('-').unwrap().0;
            **name == id || secret.arn == id || without_suffix == id
        };
        self.secrets.iter().find(named).ok_or("ResourceNotFoundException")
    }

    fn get_value(&self, input: &Value) -> Result<Value, &'static str> {
        let (name, secret) = self.find(input["SecretId"].as_str().unwrap())?;
        if secret.deleted {
            return Err("InvalidRequestException");
        }
        let asked = |(id, version): &(&String, &StoredVersion)| match input["VersionId"].as_str() {
            Some(asked) => *id == asked,
            None => version.stages.iter().any(|stage| *stage == input["VersionStage"]),
        };
        let (id, version) = secret.versions.iter().find(asked).ok_or("ResourceNotFoundException")?;
        Ok(json!({
            "ARN": secret.arn, "Name": name, "VersionId": id, "VersionStages": version.stages,
            "SecretString": version.text,
        }))
    }

    fn describe(&self, input: &Value) -> Result<Value, &'static str> {
        let (name, secret) = self.find(input["SecretId"].as_str().unwrap())?;
        let staged = secret.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        let stages: BTreeMap<_, _> = staged.map(|(id, version)| (id, &version.stages)).collect();
        let mut response = json!({ "ARN": secret.arn, "Name": name, "VersionIdsToStages": stages });
        if secret.deleted {
            response["DeletedDate"] = json!(1_795_262_400);
        }
        Ok(response)
    }

    /// In reverse, since AWS promises no order.
    fn batch_get(&self, input: &Value) -> Value {
        let asked = input["SecretIdList"].as_array().unwrap();
        assert!(asked.len() <= 20, "AWS refuses more");
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in asked.iter().rev() {
            match self.get_value(&json!({ "SecretId": id, "VersionStage": "AWSCURRENT" })) {
                Ok(value) => values.push(value),
                Err(code) => errors.push(json!({ "SecretId": id, "ErrorCode": code, "Message": "hunter2" })),
            }
        }
        json!({ "SecretValues": values, "Errors": errors })
    }
}
