//! `Activity`: events of a session that differ in nothing but their time, counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::AuditLine;

/// What events have in common that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct ActivityKind {
    pub(super) event: String,
    pub(super) account: Option<String>,
    /// The provider or consumer.
    pub(super) component: Option<String>,
    /// The operation and region of a request; the narrowed session.
    pub(super) target: Option<String>,
    /// Where a person has decided about a request for access.
    pub(super) decided_by: Option<String>,
}

/// Events of one kind.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Activity {
    #[serde(flatten)]
    pub(super) kind: ActivityKind,
    pub(super) count: u64,
    pub(super) failed: u64,
    /// How often each kind of error occurred, and each status of AWS that reports an error.
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) first: String,
    pub(super) last: String,
    /// The last characters of the newest key.
    pub(super) key_suffix: Option<String>,
    /// When the newest credentials expire.
    pub(super) expires_at: Option<String>,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl ActivityKind {
    pub(super) fn of(record: &AuditLine) -> Self {
        let narrowed = record.narrow.as_ref().map(|narrow| {
            let policy = narrow.policy.as_ref().map(|policy| format!(", policy {policy}"));
            let accounts = narrow.accounts.join(", ");
            format!("session {} ({accounts}{})", narrow.child, policy.unwrap_or_default())
        });
        Self {
            event: record.event.clone(),
            account: record.account.clone(),
            component: record.component.clone(),
            target: narrowed.or_else(|| request_target(record)),
            decided_by: record.decided_by.clone(),
        }
    }
}

/// Returns the request as `service:Operation region`, as far as it is known.
fn request_target(record: &AuditLine) -> Option<String> {
    let request = record.request.as_ref()?;
    let service = request.service.as_deref()?;
    let operation = request.operation.as_deref().unwrap_or("?");
    Some(
        format!("{service}:{operation} {}", request.region.as_deref().unwrap_or_default())
            .trim_end()
            .to_owned(),
    )
}

impl Activity {
    pub(super) fn new(kind: ActivityKind, at: &str) -> Self {
        Self {
            kind,
            count: 0,
            failed: 0,
            failures: BTreeMap::new(),
            first: at.to_owned(),
            last: String::new(),
            key_suffix: None,
            expires_at: None,
            request_bytes: 0,
            response_bytes: 0,
        }
    }

    pub(super) fn add(&mut self, record: AuditLine) {
        self.count += 1;
        let refused = |status: &u16| *status >= 400;
        let status = record.request.as_ref().and_then(|request| request.status).filter(refused);
        if let Some(failure) = record.failure.or_else(|| status.map(|status| status.to_string())) {
            self.failed += 1;
            *self.failures.entry(failure).or_default() += 1;
        }
        if let Some(request) = record.request {
            self.request_bytes = self.request_bytes.saturating_add(request.request_bytes);
            self.response_bytes = self.response_bytes.saturating_add(request.response_bytes);
        }
        self.last = record.at;
        self.key_suffix = record.key_suffix.or(self.key_suffix.take());
        self.expires_at = record.expires_at.or(self.expires_at.take());
    }
}
