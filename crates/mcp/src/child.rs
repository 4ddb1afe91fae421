//! A program run as a child of a session: allow-listed environment, one session's authority, gone with its owner.

mod environment;
mod guard;
mod home;
mod launch;
mod process;
mod stderr;

use serde::{Deserialize, Serialize};

pub use environment::{ChildEnvironment, GATEWAY_MARKER, HostEnvironment};
pub use home::SessionHome;
pub use launch::{Launcher, guard_program};
pub use process::{ChildCommand, ChildProcess, Stdio};
pub use stderr::StderrTail;

/// How a child gets its session's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// It reads them from its own loopback endpoint: rotation, expiry and revocation reach it while it runs, and no
    /// key is in its environment.
    #[default]
    Endpoint,
    /// They are in its environment; it is replaced when they rotate. For programs that know nothing else.
    Env,
    /// It gets none.
    None,
}
