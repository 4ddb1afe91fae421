//! `FakeRoleProvider`: a provider that can be narrowed, and whose keys show whether they are narrowed.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, Result, SessionPolicy};

#[derive(Debug, Clone)]
pub(crate) struct FakeRoleProvider {
    name: &'static str,
    policy: Option<SessionPolicy>,
}

impl FakeRoleProvider {
    /// Creates a provider of credentials named `name`, or `LESS` if they are narrowed.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, policy: None }
    }
}

#[async_trait]
impl CredentialProvider for FakeRoleProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("role")
    }

    async fn provide(&self) -> Result<Credentials> {
        let id = format!("AKIA000000000000{}", self.name).parse()?;
        Credentials::builder(id, "secret-of-the-role".to_owned().into()).build()
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let policy = self.policy.as_ref().map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy))?;
        Ok(Arc::new(Self { name: "LESS", policy: Some(policy) }))
    }
}
