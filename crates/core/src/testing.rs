//! What tests of sessions and providers need: a clock that is set by hand, a provider that does as told, the
//! provider contract as a suite, and canaries that must not get out. Public, so that a stranger's backend can be
//! tested too.

mod canary;
mod clock;
pub mod contract;
mod scripted;

pub use canary::{Canary, CapturedLogs};
pub use clock::{ManualClock, VirtualClock};
pub use scripted::{Script, ScriptedProvider};
