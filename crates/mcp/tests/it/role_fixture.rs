//! A provider that can be narrowed, and whose credentials show the policy under which they were issued.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, Result, SessionPolicy};

use crate::keys::keys;

/// Issues credentials named by their permissions: `A` for all, `R` for reading, `W` for writing, `N` for neither;
/// followed by the provider's own letter and the number of credentials issued before.
#[derive(Debug, Clone)]
pub(crate) struct RoleProviderFixture {
    letter: char,
    policy: Option<SessionPolicy>,
    issued: Arc<AtomicU32>,
}

impl RoleProviderFixture {
    pub(crate) fn new(letter: char) -> Self {
        Self { letter, policy: None, issued: Arc::default() }
    }
}

#[async_trait]
impl CredentialProvider for RoleProviderFixture {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("role")
    }

    async fn provide(&self) -> Result<Credentials> {
        let n = self.issued.fetch_add(1, Ordering::Relaxed);
        let allowed = self.policy.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
        let access = match (allowed.contains("Get"), allowed.contains("Put")) {
            _ if self.policy.is_none() => 'A',
            (true, false) => 'R',
            (false, true) => 'W',
            _ => 'N',
        };
        Ok(keys(&format!("{access}{}{n:02}", self.letter)))
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let policy = self.policy.as_ref().map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy))?;
        Ok(Arc::new(Self { policy: Some(policy), ..self.clone() }))
    }
}

fn policy_allowing(action: &str) -> SessionPolicy {
    let statement = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#);
    format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#).parse().unwrap()
}

pub(crate) fn read_policy() -> SessionPolicy {
    policy_allowing("s3:Get*")
}

pub(crate) fn write_policy() -> SessionPolicy {
    policy_allowing("s3:Put*")
}
