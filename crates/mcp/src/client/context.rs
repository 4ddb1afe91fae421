//! `ClientContext`: what a client's request brings besides its method and its parameters.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, GetExtensions, ProgressToken};
use rmcp::service::RequestContext;
use tokio_util::sync::CancellationToken;

use super::ClientLink;

/// The context of one request of a client.
#[derive(Clone, Default)]
pub(crate) struct ClientContext {
    /// Fires when the client cancels the request.
    pub(crate) cancelled: CancellationToken,
    /// The way back to the client; `None` for a call through the library.
    pub(crate) link: Option<Arc<dyn ClientLink>>,
    /// The token under which the client wants to be notified of progress.
    pub(crate) progress_token: Option<ProgressToken>,
}

/// A link that travels with a request through rmcp, as an extension of the request.
#[derive(Clone)]
struct AttachedLink(Arc<dyn ClientLink>);

impl ClientContext {
    /// Creates the context of a request that no MCP client has sent, such as a call through the library.
    pub(crate) fn without_client(cancelled: &CancellationToken) -> Self {
        Self { cancelled: cancelled.clone(), ..Self::default() }
    }

    /// Creates the context of a request that a transport has attached a link to.
    pub(crate) fn from_request(context: &RequestContext<RoleServer>) -> Self {
        Self {
            cancelled: context.ct.clone(),
            link: context.extensions.get::<AttachedLink>().map(|link| Arc::clone(&link.0)),
            progress_token: context.meta.get_progress_token(),
        }
    }

    /// Whether a server can request input during the request, which the client then repeats.
    pub(crate) fn is_interruptible(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.profile().is_interruptible())
    }

    /// Returns the same context with a token of its own, which the client's cancellation fires as well.
    pub(crate) fn child(&self) -> Self {
        Self { cancelled: self.cancelled.child_token(), ..self.clone() }
    }
}

/// Attaches the way back to its client to a request.
pub(crate) fn attach_link(request: &mut ClientRequest, link: Arc<dyn ClientLink>) {
    request.extensions_mut().insert(AttachedLink(link));
}
