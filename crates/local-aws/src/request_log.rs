//! The log of requests: action, resource, caller and outcome, without secrets.

use std::collections::VecDeque;
use std::fmt;

use axum::http::HeaderMap;
use serde::{Serialize, Serializer};

use super::request::{AwsService, ParsedRequest};
use super::signature::RequestSignature;

const MAX_RECORDS: usize = 10_000;
const MAX_FIELD_CHARS: usize = 200;

/// A request to the local AWS, without its secrets.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// `sts` or `secretsmanager`.
    pub service: &'static str,
    /// The action; empty if the request could not be parsed.
    pub action: String,
    /// The role or secret in the request, as the caller wrote it.
    pub resource: Option<String>,
    /// The last four characters of the access key id.
    pub key_last_four: Option<String>,
    /// The ARN of the caller, once authenticated.
    pub caller: Option<String>,
    /// The result.
    pub outcome: RequestOutcome,
}

/// The result of a request; displayed and serialized as `served` or the error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The request succeeded.
    Served,
    /// The request failed with this error code.
    Refused(&'static str),
}

impl fmt::Display for RequestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "served",
            Self::Refused(code) => code,
        })
    }
}

impl Serialize for RequestOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl RequestRecord {
    pub(super) fn from_headers(service: AwsService, headers: &HeaderMap) -> Self {
        let key =
            RequestSignature::from_headers(headers).ok().map(|signature| last_four(signature.access_key_id));
        Self {
            service: service.signing_name(),
            action: String::new(),
            resource: None,
            key_last_four: key,
            caller: None,
            outcome: RequestOutcome::Served,
        }
    }

    pub(super) fn set_request(&mut self, request: &ParsedRequest) {
        self.action = truncate(&request.action);
        self.resource = request.resource().map(truncate);
    }
}

fn last_four(access_key_id: &str) -> String {
    access_key_id.chars().skip(access_key_id.chars().count().saturating_sub(4)).collect()
}

fn truncate(text: &str) -> String {
    text.chars().take(MAX_FIELD_CHARS).collect()
}

/// The latest requests; the oldest are dropped first.
#[derive(Default)]
pub(super) struct RequestLog(VecDeque<RequestRecord>);

impl RequestLog {
    pub(super) fn push(&mut self, record: RequestRecord) {
        if self.0.len() == MAX_RECORDS {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    pub(super) fn records(&self) -> Vec<RequestRecord> {
        self.0.iter().cloned().collect()
    }
}
