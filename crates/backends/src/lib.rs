//! Where valetkey's credentials come from: providers, one per feature, and the bridge to the AWS SDK.
//!
//! | feature | here | default |
//! |---|---|---|
//! | `memory` | `MemoryProvider` | yes |
//! | `env` | `EnvProvider` | yes |
//! | `sts` | `AssumeRoleProvider`, `WebIdentityProvider`, `FederationProvider`, `StsCallerIdentityProvider` | |
//! | `experimental-scoped-credentials` | `ScopedProvider`, on top of `sts` | |
//! | `secrets-manager` | `SecretsManagerProvider`, `SecretsManagerResolver` | |
//! | `process` | `ProcessProvider` | |
//! | `sdk` | `SdkProvider`, `SdkConfigExt`, `SessionCredentialsProvider` | |
//! | `ambient` | `AmbientProvider`, on top of `sdk` | |
//!
//! A feature only adds. Every provider keeps the contract of [`CredentialProvider`](valetkey_core::CredentialProvider):
//! it fetches and never caches. (A secret is asked which version it is at, and is not transferred again while that
//! stays.) What calls AWS shares one `AwsClientConfig`: one HTTP client, the SDK's standard retries and nothing on top of them,
//! no identity but the one that was handed in. (`AmbientProvider` repeats whole fetches instead, by the same rules.) Each
//! provider has a retry quota of its own. Futures may be dropped at any await.
//!
//! Failures of the AWS SDK are told by kind, service code and request id; a response body is never kept. The SDK's own
//! TRACE log keeps to that unless the host sets `LOG_SENSITIVE_BODIES=true`, which makes it print secrets: never do.

#[cfg(feature = "sts")]
mod assume_role;
#[cfg(feature = "sts")]
mod caller_identity;
#[cfg(feature = "_client")]
mod client_config;
#[cfg(feature = "env")]
mod env;
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "sdk"))]
mod error;
#[cfg(feature = "sts")]
mod federation;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "experimental-scoped-credentials")]
mod scoped;
#[cfg(feature = "sdk")]
mod sdk;
#[cfg(feature = "ambient")]
mod sdk_chain;
#[cfg(feature = "sts")]
mod secret_provider;
#[cfg(feature = "secrets-manager")]
mod secrets_manager;
#[cfg(feature = "sts")]
mod sts;
#[cfg(any(
    feature = "memory",
    feature = "env",
    feature = "sts",
    feature = "secrets-manager",
    feature = "sdk",
    feature = "process"
))]
mod validity;
#[cfg(feature = "sts")]
mod web_identity;

#[cfg(feature = "sts")]
pub use assume_role::{AssumeRoleBuilder, AssumeRoleProvider};
#[cfg(feature = "sts")]
pub use caller_identity::StsCallerIdentityProvider;
#[cfg(feature = "_client")]
pub use client_config::AwsClientConfig;
#[cfg(feature = "env")]
pub use env::EnvProvider;
#[cfg(feature = "sts")]
pub use federation::{
    FederationBuilder, FederationGuard, FederationProvider, GetFederationTokenRequest, GetSessionTokenRequest,
};
#[cfg(feature = "memory")]
pub use memory::MemoryProvider;
#[cfg(feature = "process")]
pub use process::{ProcessBuilder, ProcessProvider};
#[cfg(feature = "experimental-scoped-credentials")]
pub use scoped::{ScopedBuilder, ScopedProvider};
#[cfg(feature = "sdk")]
pub use sdk::{SdkConfigExt, SdkProvider, SessionCredentialsProvider};
#[cfg(feature = "ambient")]
pub use sdk_chain::AmbientProvider;
#[cfg(feature = "sts")]
pub use secret_provider::SecretProvider;
#[cfg(feature = "secrets-manager")]
pub use secrets_manager::{SecretsManagerBuilder, SecretsManagerProvider, SecretsManagerResolver};
#[cfg(feature = "sts")]
pub use web_identity::{WebIdentityBuilder, WebIdentityProvider};
