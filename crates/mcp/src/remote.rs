//! MCP servers at a URL: streamable HTTP, with the headers of the configuration and signed requests.
//!
//! A connection looks like the standard streams of a child: lines of JSON in both directions. So a remote server passes
//! through the same handshake, limits and redaction as a child.
//!
//! | MCP | on the wire |
//! |---|---|
//! | a message to the server | a POST; a request of the modern protocol also has the headers that repeat its parts |
//! | the response | the body, or the events of the body up to the response |
//! | other messages of the server | events of such a body, or of a GET with the legacy protocol |
//! | a cancellation | the POST is abandoned, and announced with the legacy protocol |
//! | the end | a DELETE, if the server has given the session an id |
//!
//! # Bounds
//! - The body of a response and each event have at most 16 MiB, and are not parsed before that is known.
//! - 128 requests are in progress at once; further ones are refused. The text of a refusal is shown if it has at most 64 KiB.
//! - Connecting takes at most 10 s. A response has the timeout of the call, which cancels the request.
//! - Redirects are not followed, so that signatures, tokens and calls reach only the configured host.
//!
//! # Failures
//! - A request that cannot be sent, or whose response is not of the protocol, gets an error response with the reason. Its
//!   code is that of this process, so that it becomes the error `Unavailable`, and not a refusal by the server.
//! - An error of the protocol in a response with an HTTP error stays one, under the id of the request: servers that refuse
//!   a message before they parse it cannot repeat its id.
//! - A server that has forgotten the session (HTTP 404) ends the connection. The next call begins a new one.

mod bridge;
mod event_stream;
mod message;
mod post;
mod server;
mod state;
mod url;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use crate::connection::{ServerInput, ServerOutput};

use bridge::Bridge;
use state::RemoteState;

pub(crate) use server::{RemoteServer, RemoteSettings};
pub use url::RemoteUrl;

/// The size of the buffer in each direction, in bytes.
const BUFFER_SIZE: usize = 64 * 1024;

/// What the connection uses in place of a child's standard streams.
pub(crate) struct RemoteStreams {
    pub(crate) output: ServerOutput,
    pub(crate) input: ServerInput,
}

/// An open connection to a remote server. Dropping it ends all its requests at once.
///
/// Invariant: the task ends when the input of the connection is closed, when the server has ended its session, or with this
/// value. It owns all requests, so none outlives it.
pub(crate) struct RemoteLink {
    task: AbortOnDropHandle<()>,
    failure: RemoteFailure,
}

/// Why the server cannot be used, if a request has found that out: the network, a refusal by status, or missing
/// credentials. A successful request clears it. Clones share it.
///
/// A server that refuses the handshake for such a reason is not tried with older protocol versions.
#[derive(Clone, Default)]
pub(crate) struct RemoteFailure(Arc<Mutex<Option<String>>>);

impl RemoteLink {
    /// Opens a connection. No request is sent before the first message. Spawns one task.
    pub(crate) fn open(server: RemoteServer) -> (Self, RemoteStreams) {
        // A pipe for each direction, each of which can be closed alone.
        let (input, lines) = tokio::io::duplex(BUFFER_SIZE);
        let (writer, output) = tokio::io::duplex(BUFFER_SIZE);
        let failure = RemoteFailure::default();
        let bridge = Bridge::new(RemoteState::new(server, failure.clone()), lines, writer);
        let task = AbortOnDropHandle::new(tokio::spawn(bridge.run()));
        (Self { task, failure }, RemoteStreams { output: Box::new(output), input: Box::new(input) })
    }

    /// Returns why the server cannot be used.
    pub(crate) fn failure(&self) -> &RemoteFailure {
        &self.failure
    }

    /// Waits until the connection has ended: after its input was closed, or because the server has ended its session.
    /// Cancel safe.
    pub(crate) async fn wait(&mut self) {
        // A task that has ended must not be polled again. The runtime has already reported any panic in it.
        if !self.task.is_finished() {
            let _ended = (&mut self.task).await;
        }
    }
}

impl RemoteFailure {
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }

    fn set(&self, failure: Option<String>) {
        *self.0.lock() = failure;
    }
}
