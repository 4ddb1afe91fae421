//! A Secrets Manager behind the wire: versions and stages, refusals on order, and a count of what was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use valetkey_backends::SdkBase;

use crate::wire::{Sent, Wire};

pub(crate) const GET: &str = "GetSecretValue";
pub(crate) const DESCRIBE: &str = "DescribeSecret";
pub(crate) const BATCH: &str = "BatchGetSecretValue";

type Hook = Box<dyn FnOnce() + Send>;

/// Clones are the same vault.
#[derive(Clone, Default)]
pub(crate) struct Vault(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Secret>,
    made: usize,
    /// The code that an operation is refused with; empty to hang up.
    refusals: BTreeMap<&'static str, &'static str>,
    calls: Vec<String>,
    /// Run once, while the operation is under way.
    hooks: BTreeMap<&'static str, Hook>,
}

struct Secret {
    arn: String,
    deleted: bool,
    versions: BTreeMap<String, Version>,
}

struct Version {
    text: String,
    stages: Vec<String>,
}

/// The credentials of a numbered key.
pub(crate) fn keys(n: u64) -> String {
    json!({ "access_key_id": key_id(n), "secret_access_key": format!("hunter2-{n}") }).to_string()
}

pub(crate) fn key_id(n: u64) -> String {
    format!("AKIA{n:016}")
}

pub(crate) fn version_id(n: u64) -> String {
    format!("{n:032}")
}

impl Vault {
    /// Holding key 1 as version 1 of `agent`.
    pub(crate) fn with_agent() -> Self {
        let vault = Self::default();
        vault.rotate("agent", 1);
        vault
    }

    /// Makes key `n` the current version, and the secret if need be.
    pub(crate) fn rotate(&self, name: &str, n: u64) {
        self.put(name, n, &keys(n), "AWSCURRENT");
    }

    /// Makes `text` version `n`, at `stage`.
    pub(crate) fn put(&self, name: &str, n: u64, text: &str, stage: &str) {
        let mut state = self.state();
        state.made += 1;
        let arn = format!("arn:aws:secretsmanager:us-east-1:111111111111:secret:{name}-{:06}", state.made);
        let empty = || Secret { arn, deleted: false, versions: BTreeMap::new() };
        let secret = state.secrets.entry(name.to_owned()).or_insert_with(empty);
        let version = Version { text: text.to_owned(), stages: Vec::new() };
        secret.versions.insert(version_id(n), version);
        drop(state);
        self.stage(name, n, stage);
    }

    /// Moves a stage to version `n`. What was current is the previous version then.
    pub(crate) fn stage(&self, name: &str, n: u64, stage: &str) {
        let mut state = self.state();
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
        self.state().secrets.get_mut(name).unwrap().deleted = true;
    }

    pub(crate) fn remove(&self, name: &str) {
        self.state().secrets.remove(name).unwrap();
    }

    /// From now on `operation` fails with `code`; with an empty one nobody answers.
    pub(crate) fn refuse(&self, operation: &'static str, code: &'static str) {
        self.state().refusals.insert(operation, code);
    }

    pub(crate) fn admit(&self, operation: &'static str) {
        self.state().refusals.remove(operation);
    }

    /// Runs `work` while the next call of `operation` is under way: after it was asked, before it is answered.
    pub(crate) fn during(&self, operation: &'static str, work: impl FnOnce() + Send + 'static) {
        self.state().hooks.insert(operation, Box::new(work));
    }

    /// What was called since this was last asked, shortened to the first letters: `G`et, `D`escribe, `B`atch.
    pub(crate) fn calls(&self) -> String {
        let calls = std::mem::take(&mut self.state().calls);
        calls.iter().map(|operation| operation.chars().next().unwrap()).collect()
    }

    pub(crate) fn base(&self) -> SdkBase {
        let vault = self.clone();
        Wire::by(move |sent| vault.answer(sent)).base()
    }

    fn answer(&self, sent: &Sent) -> Option<(u16, String)> {
        let operation = sent.headers["x-amz-target"].strip_prefix("secretsmanager.").unwrap().to_owned();
        let input = sent.json();
        self.state().calls.push(operation.clone());
        let answer = self.state().answer(&operation, &input);
        let hook = self.state().hooks.remove(operation.as_str());
        if let Some(hook) = hook {
            hook();
        }
        match answer {
            Ok(body) => Some((200, body.to_string())),
            Err("") => None,
            Err(code) => Some((400, json!({ "__type": code, "message": "hunter2" }).to_string())),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn answer(&self, operation: &str, input: &Value) -> Result<Value, &'static str> {
        if let Some(code) = self.refusals.get(operation) {
            return Err(code);
        }
        match operation {
            GET => self.value(input),
            DESCRIBE => self.description(input),
            BATCH => Ok(self.values(input)),
            _ => Err("UnknownOperationException"),
        }
    }

    fn find(&self, id: &str) -> Result<(&String, &Secret), &'static str> {
        let named = |(name, secret): &(&String, &Secret)| {
            let without_suffix = secret.arn.rsplit_once('-').unwrap().0;
            **name == id || secret.arn == id || without_suffix == id
        };
        self.secrets.iter().find(named).ok_or("ResourceNotFoundException")
    }

    fn value(&self, input: &Value) -> Result<Value, &'static str> {
        let (name, secret) = self.find(input["SecretId"].as_str().unwrap())?;
        if secret.deleted {
            return Err("InvalidRequestException");
        }
        let asked = |(id, version): &(&String, &Version)| match input["VersionId"].as_str() {
            Some(asked) => *id == asked,
            None => version.stages.iter().any(|stage| *stage == input["VersionStage"]),
        };
        let (id, version) = secret.versions.iter().find(asked).ok_or("ResourceNotFoundException")?;
        Ok(json!({
            "ARN": secret.arn, "Name": name, "VersionId": id, "VersionStages": version.stages,
            "SecretString": version.text,
        }))
    }

    fn description(&self, input: &Value) -> Result<Value, &'static str> {
        let (name, secret) = self.find(input["SecretId"].as_str().unwrap())?;
        let staged = secret.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        let stages: BTreeMap<_, _> = staged.map(|(id, version)| (id, &version.stages)).collect();
        let mut answer = json!({ "ARN": secret.arn, "Name": name, "VersionIdsToStages": stages });
        if secret.deleted {
            answer["DeletedDate"] = json!(1_795_262_400);
        }
        Ok(answer)
    }

    /// In reverse, since AWS promises no order.
    fn values(&self, input: &Value) -> Value {
        let asked = input["SecretIdList"].as_array().unwrap();
        assert!(asked.len() <= 20, "AWS refuses more");
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in asked.iter().rev() {
            match self.value(&json!({ "SecretId": id, "VersionStage": "AWSCURRENT" })) {
                Ok(value) => values.push(value),
                Err(code) => errors.push(json!({ "SecretId": id, "ErrorCode": code, "Message": "hunter2" })),
            }
        }
        json!({ "SecretValues": values, "Errors": errors })
    }
}
