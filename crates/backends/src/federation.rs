//! Federation: the long-lived keys of an IAM user, exchanged for temporary ones.

mod builder;
mod client;
mod error;
mod given;
mod guard;
mod provider;

pub use builder::FederationBuilder;
pub use client::{GetFederationTokenRequest, GetSessionTokenRequest};
pub use guard::FederationGuard;
pub use provider::FederationProvider;
