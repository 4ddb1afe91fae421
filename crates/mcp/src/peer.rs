//! `ServerPeer`: what a host is connected to, a process or a remote server.
//!
//! A supervisor treats both alike: it waits until the server has ended, stops it after its connection is closed, and reports
//! why it has failed. A process says why on standard error; of a remote server, the failed request is known.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Redactor;
use crate::child::{ChildProcess, StderrTail};
use crate::remote::{RemoteFailure, RemoteLink};

/// The number of standard error lines quoted when a server fails.
const STDERR_LINES: usize = 5;
/// How long a remote server may take to end a session.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A started server. Dropping it kills the process, or ends the requests to the remote server.
pub(crate) enum ServerPeer {
    Process(ChildProcess),
    Remote(RemoteLink),
}

/// Where to find why a server has failed.
pub(crate) enum FailureSource {
    Stderr(StderrTail),
    Remote(RemoteFailure),
}

impl ServerPeer {
    /// Returns the process id, if there is a process.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Process(process) => Some(process.pid()),
            Self::Remote(_) => None,
        }
    }

    pub(crate) fn failure_source(&self) -> FailureSource {
        match self {
            Self::Process(process) => FailureSource::Stderr(process.stderr().clone()),
            Self::Remote(link) => FailureSource::Remote(link.failure().clone()),
        }
    }

    /// Waits until the server has ended by itself. Cancel safe.
    pub(crate) async fn wait(&mut self) {
        match self {
            Self::Process(process) => drop(process.wait().await),
            Self::Remote(link) => link.wait().await,
        }
    }

    /// Stops the server, whose connection is closed, or kills it at once when `kill` fires.
    pub(crate) async fn stop_or_kill(self, kill: &CancellationToken) {
        match self {
            Self::Process(process) => process.stop_or_kill(kill).await,
            Self::Remote(mut link) => tokio::select! {
                biased;
                () = kill.cancelled() => {}
                _elapsed = timeout(STOP_TIMEOUT, link.wait()) => {}
            },
        }
    }

    /// Kills the process and waits until it has exited, or ends the requests to the remote server.
    pub(crate) async fn kill(self) {
        match self {
            Self::Process(process) => process.kill().await,
            Self::Remote(_) => {}
        }
    }
}

impl FailureSource {
    /// Returns why the remote server cannot be used, masked.
    pub(crate) fn remote(&self, redactor: &Redactor) -> Option<String> {
        match self {
            Self::Stderr(_) => None,
            Self::Remote(failure) => failure.get().map(|reason| redactor.mask(&reason)),
        }
    }

    /// Returns the end of standard error or the failure of the remote server, masked, as a clause of an error message.
    pub(crate) async fn quote(&self, redactor: &Redactor) -> String {
        let said = match self {
            Self::Stderr(stderr) => {
                stderr.wait_drained().await;
                stderr.last_lines(redactor, STDERR_LINES).replace('\n', " | ")
            }
            Self::Remote(_) => {
                return self.remote(redactor).map(|reason| format!("; it {reason}")).unwrap_or_default();
            }
        };
        if said.is_empty() { said } else { format!("; it said: {said}") }
    }
}
