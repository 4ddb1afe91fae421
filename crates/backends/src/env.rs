//! Environment: credentials in the `AWS_*` variables.

mod error;
mod provider;

pub use provider::EnvProvider;
