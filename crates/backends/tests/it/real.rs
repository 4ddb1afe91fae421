//! Tests against real peers: they need `cargo xtask rig`, and `cargo xtask test --no-rig` leaves them out.

mod attribution;
mod caller_identity;
mod concurrent_accounts;
mod identity;
mod kms;
mod ministack;
mod moto;
mod request_counter;
mod revocation;
mod scoped;
mod scoped_model;
mod sdk_clients;
mod secrets;
mod sts_model;
mod unreachable;

use std::sync::Arc;

use aws_sdk_sts::Client;
use valetkey_backends::{AssumeRoleBuilder, AssumeRoleProvider, AwsClientConfig, SdkConfigExt};
use valetkey_core::{CredentialProvider, Credentials, SecretString, SessionContext};
use valetkey_rig::{AccessKey, REGION, Tenant};

use crate::{memory_source, region};

fn client_config_at(url: &str) -> AwsClientConfig {
    AwsClientConfig::new().region(&region(REGION)).endpoint_url(url)
}

fn credentials(key: &AccessKey) -> Credentials {
    let secret = SecretString::from(key.secret_access_key.as_str());
    Credentials::builder(key.access_key_id.parse().unwrap(), secret).build().unwrap()
}

fn source_from_key(key: &AccessKey) -> Arc<dyn CredentialProvider> {
    memory_source(credentials(key))
}

/// The tenant's role, with the external id of its broker.
fn role(tenant: &Tenant, broker: &AccessKey, url: &str) -> AssumeRoleBuilder {
    AssumeRoleProvider::builder(tenant.role_arn.parse().unwrap(), source_from_key(broker))
        .external_id(&tenant.external_id)
        .client_config(&client_config_at(url))
}

/// A session with this provider.
fn session(provider: impl CredentialProvider + 'static) -> SessionContext {
    SessionContext::builder().region(region(REGION)).provider(provider).build()
}

/// The account that the peer takes the session for.
async fn caller_account(session: &SessionContext, url: &str) -> String {
    let client = Client::new(&session.sdk_config_from(client_config_at(url).config()).await.unwrap());
    client.get_caller_identity().send().await.unwrap().account.unwrap()
}
