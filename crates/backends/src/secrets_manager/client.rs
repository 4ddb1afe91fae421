//! `Client`: reads secrets with what the source gives, and transfers a payload again only when its version moved.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Config;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use valetkey_core::{CredentialProvider, Credentials, ErrorKind, Result};

use super::calls::{Calls, Version};
use super::error;
use super::payloads::{Content, Payloads, Stamp, Visit};
use crate::{expired, source};

pub(super) struct Client {
    pub(super) config: Config,
    pub(super) source: Arc<dyn CredentialProvider>,
    pub(super) version: Version,
    /// What the credentials are stamped with.
    pub(super) max_age: Option<Duration>,
    pub(super) payloads: Payloads,
}

impl Client {
    /// The credentials that the secret holds now. What is kept of it counts when a `DescribeSecret` says that its
    /// version stayed; a failure that will not pass drops it.
    pub(super) async fn read(&self, secret_id: &str) -> Result<Credentials> {
        let source = source::credentials(&*self.source).await?;
        let visit = self.payloads.visit(secret_id, source.access_key_id());
        let answer = self.look(&visit, &Calls::signed_by(&source, &self.config)).await;
        if answer.as_ref().is_err_and(|error| !error.is_transient()) {
            visit.drop_kept();
        }
        answer.and_then(|credentials| self.unexpired(credentials))
    }

    pub(super) fn forget(&self) {
        self.payloads.forget();
        self.source.forget();
    }

    async fn look(&self, visit: &Visit<'_>, calls: &Calls) -> Result<Credentials> {
        let (stamp, credentials) = match visit.known() {
            Some(Content::Prefetched(_, credentials)) => return Ok(credentials),
            Some(Content::Payload(stamp, credentials)) => (stamp, credentials),
            Some(Content::Undescribable) => return self.get(visit, calls).await.map(|(_, it)| it),
            None => return self.get_and_keep(visit, calls).await,
        };
        match calls.describe(visit.secret_id).await {
            Ok(secret) if secret.deleted_date.is_some() => Err(error::deleted()),
            Ok(secret) if self.stays(&secret, &stamp) => Ok(credentials),
            Ok(_) => self.get_and_keep(visit, calls).await,
            // It may be this call alone that is denied. What the other one says counts.
            Err(error) if error.kind() == ErrorKind::Denied => {
                let (_, credentials) = self.get(visit, calls).await?;
                visit.keep(Content::Undescribable);
                Ok(credentials)
            }
            Err(error) => Err(error),
        }
    }

    async fn get_and_keep(&self, visit: &Visit<'_>, calls: &Calls) -> Result<Credentials> {
        let (stamp, credentials) = self.get(visit, calls).await?;
        if let Some(stamp) = stamp {
            visit.keep(Content::Payload(stamp, credentials.clone()));
        }
        Ok(credentials)
    }

    async fn get(&self, visit: &Visit<'_>, calls: &Calls) -> Result<(Option<Stamp>, Credentials)> {
        calls.get(visit.secret_id, &self.version).await?.read(self.max_age)
    }

    /// Whether what was asked for is still the version that is kept, of the same secret.
    fn stays(&self, secret: &DescribeSecretOutput, kept: &Stamp) -> bool {
        let stages = secret.version_ids_to_stages().and_then(|versions| versions.get(&kept.version_id));
        let stays = match &self.version {
            Version::Stage(stage) => stages.is_some_and(|stages| stages.contains(stage)),
            // A version never changes, and one without a stage is not listed.
            Version::Id(_) => true,
        };
        stays && secret.arn() == Some(&kept.arn)
    }

    pub(super) fn unexpired(&self, credentials: Credentials) -> Result<Credentials> {
        expired::kept(credentials, self.payloads.clock(), "rotate the secret, or have its owner do so")
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("version", &self.version)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
