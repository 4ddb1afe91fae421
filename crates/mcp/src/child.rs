//! A program run as a child of a session: allow-listed environment, one session's authority, gone with its owner.

mod environment;
mod guard;
mod home;
mod launch;
mod process;
mod program;
mod stderr;

use serde::{Deserialize, Serialize};

pub use environment::{ChildEnvironment, GATEWAY_MARKER, HostEnvironment, overrides_credentials};
pub use home::SessionDir;
pub use launch::{Launcher, close_descriptors_on_exec, run_launcher};
pub use process::{ChildCommand, ChildProcess, Stdio};
pub use stderr::StderrTail;

/// Which `HOME` a child has. The AWS files are the session's in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HomeFolder {
    /// The session's own: servers of different sessions share no state through it. Package runners find their user's
    /// configuration by their own variables; it holds links for those that have none, and else is empty at first.
    #[default]
    Session,
    /// The user's, for programs that find their configuration nowhere else.
    User,
}

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
