//! Tools for tests of sessions and providers: a manual clock, a scripted provider, the provider contract as a test
//! suite, and canaries that detect leaked secrets. Public, so that backends outside of this workspace can be tested
//! too.
//!
//! # Examples
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use valetkey_core::testing::{Canary, ManualClock, Script, ScriptedProvider};
//! use valetkey_core::{Clock, Expiry, SessionContext};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> valetkey_core::Result<()> {
//!
//! let clock = ManualClock::new();
//! let expiry = Expiry::At(clock.now() + Duration::from_secs(3600));
//! let provider = ScriptedProvider::new([Script::Answer(Canary::new().credentials(expiry)?)]);
//! let session = SessionContext::builder().clock(Arc::new(clock)).provider(provider.clone()).build();
//! session.credentials().await?;
//! session.credentials().await?;
//! assert_eq!(provider.call_count(), 1); // fetched once, then served from memory
//! # Ok(())
//! # }
//! ```

mod canary;
mod clock;
pub mod contract;
mod scripted;

pub use canary::{Canary, CapturedLogs};
pub use clock::{ManualClock, VirtualClock};
pub use scripted::{Script, ScriptedProvider};
