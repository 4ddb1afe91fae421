//! Ambient: whatever the AWS SDK finds on this machine, for hosts that want just that.

mod chain;
mod clock;
mod error;
mod instance;
mod provider;
mod requests;
mod retries;
mod sign_in;

pub use provider::AmbientProvider;
