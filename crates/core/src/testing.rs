//! Tools for tests of sessions and providers: a manual clock, a scripted provider, the provider contract as a test
//! suite, and canaries that detect leaked secrets. Public, so that backends outside of this workspace can be tested
//! too.

mod canary;
mod clock;
pub mod contract;
mod scripted;

pub use canary::{Canary, CapturedLogs};
pub use clock::{ManualClock, VirtualClock};
pub use scripted::{Script, ScriptedProvider};
