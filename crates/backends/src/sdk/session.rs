//! `SessionCredentialsProvider`: an account of a session, as the AWS SDK asks for it.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use valetkey_core::SessionAccount;
use valetkey_core::audit::AuditEvent;

use super::error;

/// One account of a session as the AWS SDK's `ProvideCredentials`. Use it with the identity cache off, as
/// [`SdkConfigExt`](super::SdkConfigExt) does: the session is the cache, and the SDK's would outlive a clearing.
/// It does not keep the session open. Each set that is handed out is a `Serve` in the session's
/// audit trail, each refusal a `Deny`.
#[derive(Debug, Clone)]
pub struct SessionCredentialsProvider(SessionAccount);

impl SessionCredentialsProvider {
    /// Answers as `account`.
    #[must_use]
    pub fn new(account: SessionAccount) -> Self {
        Self(account)
    }

    async fn sdk_credentials(&self) -> Result<aws_credential_types::Credentials, CredentialsError> {
        let answer = self.0.credentials().await;
        let event = if answer.is_ok() { AuditEvent::Serve } else { AuditEvent::Deny };
        self.0.audit(event, "sdk", answer.as_ref().err());
        answer.map(|credentials| credentials.expose_to_sdk()).map_err(error::into_credentials_error)
    }
}

impl ProvideCredentials for SessionCredentialsProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.sdk_credentials())
    }
}
