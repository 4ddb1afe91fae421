//! `ClientContext`: what a client's request brings besides its method and its contents.

use tokio_util::sync::CancellationToken;

/// The context of one request of a client.
#[derive(Clone, Default)]
pub(crate) struct ClientContext {
    /// Fires when the client cancels the request.
    pub(crate) cancelled: CancellationToken,
}

impl ClientContext {
    /// Creates the context of a request that no MCP client has sent, such as a call through the library.
    pub(crate) fn without_client(cancelled: &CancellationToken) -> Self {
        Self { cancelled: cancelled.clone() }
    }
}
