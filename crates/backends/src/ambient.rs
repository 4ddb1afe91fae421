//! Ambient: whatever the AWS SDK finds on this machine, for hosts that want just that.

mod chain;
mod error;
mod provider;
mod sign_in;

pub use provider::AmbientProvider;
