//! `StaticSource`: keys that were set on a guarded account, as the source of an exchange.

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, Result};

#[derive(Debug)]
pub(super) struct StaticSource(pub(super) Credentials);

#[async_trait]
impl CredentialProvider for StaticSource {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("given")
    }

    async fn provide(&self) -> Result<Credentials> {
        Ok(self.0.clone())
    }
}
