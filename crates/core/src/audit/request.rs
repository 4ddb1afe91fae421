//! `RequestDetails` and `RequestRecord`: the audit record of one request to AWS, without its content.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::AuditEvent;
use crate::session::shared::SessionShared;
use crate::{AccountName, Credentials, Error, Expiry};

/// Describes one request to AWS: what it addressed and how it ended, and nothing of its content.
///
/// The consumer that sends the request fills in the fields, as far as it got. It must take names from its own tables, or
/// check them: a text that a program chose could contain a secret.
///
/// # Examples
/// ```
/// use valetkey_core::audit::RequestDetails;
///
/// let mut request = RequestDetails::default();
/// request.service = Some("dynamodb".to_owned());
/// request.status = Some(200);
/// let json = serde_json::to_value(&request).unwrap();
/// assert_eq!((&json["status"], &json["duration_ms"]), (&200.into(), &0.into()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestDetails {
    /// The service, by its name in AWS's service metadata.
    pub service: Option<String>,
    /// The operation, if the request names it.
    pub operation: Option<String>,
    /// The region of the request.
    pub region: Option<String>,
    /// The HTTP status of the service's response; absent if there was none.
    pub status: Option<u16>,
    /// The id that the service gave the request, which its support and CloudTrail know.
    pub request_id: Option<String>,
    /// The time from the arrival of the request to the end of the response. Serialized in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The size of the body that was sent to the service, in bytes.
    pub request_bytes: u64,
    /// The size of the body that the service returned, in bytes, as far as it was passed on.
    pub response_bytes: u64,
    /// Whether the whole response was passed on to the program.
    pub complete: bool,
}

/// The audit record of a request in progress.
///
/// [`finish`](Self::finish) writes it, also after the end of the session; without it, nothing is recorded. It holds no
/// secret.
///
/// # Examples
/// ```
/// # use std::sync::Arc;
/// # use valetkey_core::SessionContext;
/// use valetkey_core::audit::{AuditEvent, InMemoryAudit};
///
/// let audit = Arc::new(InMemoryAudit::default());
/// let session = SessionContext::builder().audit(audit.clone()).build();
/// let account = session.account(session.default_account())?;
/// let mut record = account.begin_request("report").unwrap();
/// record.details.service = Some("s3".to_owned());
/// record.finish(AuditEvent::Request, None);
/// let written = audit.records().remove(0);
/// assert_eq!(written.request.unwrap().service.as_deref(), Some("s3"));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[must_use = "a record is written by `finish`"]
pub struct RequestRecord {
    shared: Arc<SessionShared>,
    account: AccountName,
    component: String,
    /// The last characters and the expiry of the key that signed the request.
    signed_with: Option<(String, Expiry)>,
    /// What is known of the request.
    pub details: RequestDetails,
}

impl RequestRecord {
    pub(crate) fn new(shared: Arc<SessionShared>, account: AccountName, component: &str) -> Self {
        let (component, details) = (component.to_owned(), RequestDetails::default());
        Self { shared, account, component, signed_with: None, details }
    }

    /// Notes which credentials sign the request: the last characters of the key, and its expiry.
    pub fn signed_with(&mut self, credentials: &Credentials) {
        let suffix = credentials.access_key_id().last_four().to_owned();
        self.signed_with = Some((suffix, credentials.expiry()));
    }

    /// Writes the record: [`AuditEvent::Request`] for a request that was sent, [`AuditEvent::Deny`] for one that was
    /// refused.
    pub fn finish(self, event: AuditEvent, failure: Option<&Error>) {
        let Self { shared, account, component, signed_with, details } = self;
        shared.audit(event, |record| {
            let mut record = record.account(&account).with_component(&component).with_request(details);
            if let Some((suffix, expires_at)) = signed_with {
                record.key_suffix = Some(suffix);
                record.expires_at = Some(expires_at);
            }
            failure.into_iter().fold(record, super::AuditRecord::with_failure)
        });
    }
}

impl fmt::Debug for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord").field("details", &self.details).finish_non_exhaustive()
    }
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
