//! `SubscriptionRequest`: `resources/subscribe` and `resources/unsubscribe`, which legacy clients send.

use rmcp::model::ClientRequest;
use valetkey_core::{Error, ErrorKind};

use super::service::ContentSource;
use crate::client::ClientContext;
use crate::server::RequestFailure;
use crate::subscriptions::MAX_SUBSCRIPTIONS;

/// A request of a legacy client that begins or ends a subscription to a resource.
pub(super) enum SubscriptionRequest {
    Begin(String),
    End(String),
}

impl SubscriptionRequest {
    /// Returns `None` for any other request.
    pub(super) fn read(request: &ClientRequest) -> Option<Self> {
        match request {
            ClientRequest::SubscribeRequest(request) => Some(Self::Begin(request.params.uri.clone())),
            ClientRequest::UnsubscribeRequest(request) => Some(Self::End(request.params.uri.clone())),
            _ => None,
        }
    }

    /// Begins or ends the subscription.
    ///
    /// # Errors
    /// The server refuses it, or the client has no session or too many subscriptions.
    pub(super) async fn apply(
        self,
        source: &dyn ContentSource,
        context: &ClientContext,
    ) -> Result<(), RequestFailure> {
        let no_session = || RequestFailure::method_not_found("no session keeps a subscription");
        let subscriptions = source.subscriptions().ok_or_else(no_session)?;
        match self {
            Self::End(uri) => subscriptions.remove(&uri),
            Self::Begin(uri) => {
                let subscription = source.subscribe(&uri, subscriptions.queue(), context).await?;
                if !subscriptions.insert(uri, subscription) {
                    let message = format!("a client has at most {MAX_SUBSCRIPTIONS} subscriptions");
                    return Err(Error::new(ErrorKind::Invalid, message).into());
                }
            }
        }
        Ok(())
    }
}
