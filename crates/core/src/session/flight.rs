//! The outcome of a refresh, which all callers that wait for it get.

use std::sync::Arc;
use std::time::Duration;

use crate::attempt::{self, Callee};
use crate::audit::AuditRecord;
use crate::{CredentialProvider, Credentials, Error, Result};

/// How a fetch ended, told to every waiter.
#[derive(Clone)]
pub(super) enum Outcome {
    Published(Credentials),
    /// The account was set, cleared or closed meanwhile: what came back was dropped.
    Superseded,
    Failed(Error),
}

impl Outcome {
    /// The credentials that were published.
    pub(super) fn published(&self) -> Option<&Credentials> {
        match self {
            Self::Published(credentials) => Some(credentials),
            Self::Superseded | Self::Failed(_) => None,
        }
    }

    /// What the trail says of it.
    pub(super) fn describe(&self, record: AuditRecord) -> AuditRecord {
        match self {
            Self::Published(set) => record.credentials(set).with_generation(set.metadata().id.generation()),
            Self::Failed(error) => {
                record.with_component(error.provider().unwrap_or("unknown")).with_failure(error)
            }
            Self::Superseded => record,
        }
    }
}

/// One attempt to fetch, as [`attempt`](crate::call_isolated::call_isolated).
pub(super) async fn attempt(
    provider: Arc<dyn CredentialProvider>,
    limit: Duration,
) -> Option<Result<Credentials>> {
    let worker = Callee { role: "provider", name: || provider.name() };
    attempt::call_isolated(worker, limit, async { provider.provide().await }).await
}
