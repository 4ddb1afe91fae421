//! The bridge to the AWS SDK, both ways: its providers as ours, a session as its configuration.

mod config;
mod error;
mod identity;
mod provider;
mod session;

pub use config::SdkConfigExt;
#[cfg(feature = "ambient")]
pub(crate) use error::{from_credentials_error as error_of, refusal};
pub use provider::SdkProvider;
pub use session::SessionCredentialsProvider;
