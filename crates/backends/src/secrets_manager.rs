//! Secrets Manager: credentials kept as JSON in a secret, by name (a provider) or by credential id (a resolver).

mod batch;
mod builder;
mod calls;
mod client;
mod error;
mod payloads;
mod provider;
mod resolver;

pub use builder::SecretsManagerBuilder;
pub use provider::SecretsManagerProvider;
pub use resolver::SecretsManagerResolver;
