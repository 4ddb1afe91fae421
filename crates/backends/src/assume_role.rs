//! Assume role: the temporary credentials of a role, from STS.

mod builder;
mod client;
mod error;
mod provider;

pub use builder::AssumeRoleBuilder;
pub use provider::AssumeRoleProvider;
