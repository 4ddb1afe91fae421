//! Credential providers of valetkey, one for each feature, and the bridge to the AWS SDK.
//!
//! | feature | content | default |
//! |---|---|---|
//! | `memory` | `MemoryProvider` | yes |
//! | `env` | `EnvProvider` | yes |
//! | `sts` | `AssumeRoleProvider`, `WebIdentityProvider`, `SessionTokenProvider`, `FederationTokenProvider`, `StsKeyExchange`, `StsCallerIdentityProvider` | |
//! | `experimental-scoped-credentials` | `ScopedProvider`; includes `sts` | |
//! | `secrets-manager` | `SecretsManagerProvider`, `SecretsManagerResolver` | |
//! | `kms` | `KmsDecryptor` | |
//! | `process` | `ProcessProvider` | |
//! | `sdk` | `SdkProvider`, `SdkConfigExt`, `SessionCredentialsProvider` | |
//! | `ambient` | `DefaultChainProvider`, `ProfileProvider`; includes `sdk` | |
//!
//! Features are additive. Every provider keeps the contract of
//! [`CredentialProvider`](valetkey_core::CredentialProvider): it fetches credentials and does not cache them, and its
//! futures may be dropped at any await. The providers of Secrets Manager keep the payload of a secret, but check its
//! version at each fetch.
//!
//! Providers that call AWS share one `AwsClientConfig`: one HTTP client, the SDK's standard retries without further
//! retries on top, and no identity. Each provider has a retry quota of its own. `DefaultChainProvider` and
//! `ProfileProvider` repeat whole fetches instead, by the same rules.
//!
//! Errors of the AWS SDK are reported with their kind, the service's error code and the request id; a response body is
//! never kept. The same holds for the SDK's own log at TRACE level, unless the host sets `LOG_SENSITIVE_BODIES=true`:
//! this setting makes the SDK log secrets.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "sts")]
mod assume_role;
#[cfg(feature = "sts")]
mod caller_identity;
#[cfg(feature = "_client")]
mod client_config;
#[cfg(feature = "ambient")]
mod default_chain;
#[cfg(feature = "env")]
mod env;
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms", feature = "sdk"))]
mod error;
#[cfg(feature = "sts")]
mod federation_token;
#[cfg(feature = "sts")]
mod key_exchange;
#[cfg(feature = "kms")]
mod kms;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "experimental-scoped-credentials")]
mod scoped;
#[cfg(feature = "sdk")]
mod sdk;
#[cfg(feature = "sts")]
mod secret_provider;
#[cfg(feature = "secrets-manager")]
mod secrets_manager;
#[cfg(feature = "sts")]
mod session_token;
#[cfg(feature = "sts")]
mod sts;
#[cfg(any(
    feature = "memory",
    feature = "env",
    feature = "sts",
    feature = "secrets-manager",
    feature = "kms",
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
#[cfg(feature = "ambient")]
pub use default_chain::{DefaultChainProvider, ProfileProvider};
#[cfg(feature = "env")]
pub use env::EnvProvider;
#[cfg(feature = "sts")]
pub use federation_token::{FederationTokenBuilder, FederationTokenProvider};
#[cfg(feature = "sts")]
pub use key_exchange::StsKeyExchange;
#[cfg(feature = "kms")]
pub use kms::KmsDecryptor;
#[cfg(feature = "memory")]
pub use memory::MemoryProvider;
#[cfg(feature = "process")]
pub use process::{ProcessBuilder, ProcessProvider};
#[cfg(feature = "experimental-scoped-credentials")]
pub use scoped::{ScopedBuilder, ScopedProvider};
#[cfg(feature = "sdk")]
pub use sdk::{SdkConfigExt, SdkProvider, SessionCredentialsProvider};
#[cfg(feature = "sts")]
pub use secret_provider::SecretProvider;
#[cfg(feature = "secrets-manager")]
pub use secrets_manager::{SecretsManagerBuilder, SecretsManagerProvider, SecretsManagerResolver};
#[cfg(feature = "sts")]
pub use session_token::{SessionTokenBuilder, SessionTokenProvider};
#[cfg(feature = "sts")]
pub use web_identity::{WebIdentityBuilder, WebIdentityProvider};

/// Compiles the Rust code in the README.
#[cfg(all(doctest, feature = "env", feature = "sts"))]
#[doc = include_str!("../README.md")]
mod readme {}
