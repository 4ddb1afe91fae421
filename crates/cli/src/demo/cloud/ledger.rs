//! The record of every call the cloud saw: who asked for what, and what came of it.

use std::collections::VecDeque;
use std::fmt;

use axum::http::HeaderMap;
use serde::{Serialize, Serializer};

use super::request::{Asked, Service};
use super::signature::Signature;

const KEPT: usize = 10_000;
const LONGEST_TEXT: usize = 200;

/// One request, without anything secret.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallRecord {
    /// `sts` or `secretsmanager`.
    pub(crate) service: &'static str,
    /// The action asked for; empty when the request was too broken to tell.
    pub(crate) action: String,
    /// The role or secret it was about, as the caller wrote it.
    pub(crate) resource: Option<String>,
    /// The last four characters of the access key id that was presented.
    pub(crate) key_last_four: Option<String>,
    /// Who it was, once proved.
    pub(crate) caller: Option<String>,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// Served, or refused with the error code the caller was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The caller got an answer.
    Served,
    /// The caller got this error code.
    Refused(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "served",
            Self::Refused(code) => code,
        })
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl CallRecord {
    pub(super) fn of(service: Service, headers: &HeaderMap) -> Self {
        let key = Signature::of(headers).ok().map(|signature| last_four(signature.access_key_id));
        Self {
            service: service.signing_name(),
            action: String::new(),
            resource: None,
            key_last_four: key,
            caller: None,
            outcome: Outcome::Served,
        }
    }

    pub(super) fn asks(&mut self, asked: &Asked) {
        self.action = shortened(&asked.action);
        self.resource = asked.resource().map(shortened);
    }
}

fn last_four(access_key_id: &str) -> String {
    access_key_id.chars().skip(access_key_id.chars().count().saturating_sub(4)).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// The latest calls; the oldest go first when there are too many.
#[derive(Default)]
pub(super) struct Ledger(VecDeque<CallRecord>);

impl Ledger {
    pub(super) fn push(&mut self, call: CallRecord) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(super) fn calls(&self) -> Vec<CallRecord> {
        self.0.iter().cloned().collect()
    }
}
