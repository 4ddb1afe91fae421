//! `HttpClient`: the client of one request over HTTP; `HttpLink`: the way back to it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use super::protocol_sessions::ProtocolSession;
use crate::client::{
    Carrier, ChosenLevel, ClientLink, ClientProfile, LogLevel, PendingRequests, ServerMessage,
};

/// The client of one request.
pub(super) enum HttpClient {
    /// A client with a session; the token fires when it leaves before the end of the response.
    Legacy(Arc<ProtocolSession>, CancellationToken),
    /// A client whose request is complete in itself, and which takes notifications only with the response.
    Modern(ClientProfile, ChosenLevel),
}

/// Reaches a client on the response to its request, and a legacy client also on the stream of its session.
struct HttpLink {
    client: HttpClient,
    response: mpsc::Sender<ServerMessage>,
}

impl HttpClient {
    /// Returns the client of a modern request with these parameters.
    pub(super) fn modern(params: Option<&Value>) -> Self {
        Self::Modern(ClientProfile::modern(params).unwrap_or_default(), ChosenLevel::of_request(params))
    }

    pub(super) fn session(&self) -> Option<Arc<ProtocolSession>> {
        match self {
            Self::Legacy(session, _) => Some(Arc::clone(session)),
            Self::Modern(..) => None,
        }
    }

    /// Returns the way back to the client, whose response takes the messages of `response`.
    pub(super) fn into_link(self, response: mpsc::Sender<ServerMessage>) -> Arc<dyn ClientLink> {
        Arc::new(HttpLink { client: self, response })
    }
}

#[async_trait]
impl ClientLink for HttpLink {
    fn profile(&self) -> &ClientProfile {
        match &self.client {
            HttpClient::Legacy(session, _) => &session.profile,
            HttpClient::Modern(profile, _) => profile,
        }
    }

    fn log_level(&self) -> Option<LogLevel> {
        match &self.client {
            HttpClient::Legacy(session, _) => session.log_level.get(),
            HttpClient::Modern(_, level) => level.get(),
        }
    }

    fn set_log_level(&self, level: LogLevel) {
        if let HttpClient::Legacy(session, _) = &self.client {
            session.log_level.set(level);
        }
    }

    fn pending(&self) -> Option<&PendingRequests> {
        match &self.client {
            HttpClient::Legacy(session, _) => Some(&session.pending),
            HttpClient::Modern(..) => None,
        }
    }

    fn try_send(&self, message: ServerMessage) -> Option<Carrier> {
        match &self.client {
            HttpClient::Legacy(session, left) if left.is_cancelled() => session.try_send(message),
            HttpClient::Legacy(session, _) => match self.response.try_send(message) {
                Ok(()) => Some(Carrier::Response),
                Err(TrySendError::Full(_)) => None,
                // The response has ended.
                Err(TrySendError::Closed(message)) => session.try_send(message),
            },
            HttpClient::Modern(..) => self.response.try_send(message).ok().map(|()| Carrier::Response),
        }
    }

    async fn closed(&self, carrier: Carrier) {
        match (&self.client, carrier) {
            (HttpClient::Legacy(session, left), Carrier::Response) => tokio::select! {
                () = left.cancelled() => {}
                () = session.unread() => {}
            },
            (HttpClient::Legacy(session, _), Carrier::Session) => session.unread().await,
            (HttpClient::Modern(..), _) => self.response.closed().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::protocol_sessions::open_session;
    use super::*;
    use crate::client::notification;

    #[tokio::test]
    async fn http_link_uses_response_until_client_leaves() {
        let session = open_session();
        let left = CancellationToken::new();
        let (response, mut received) = mpsc::channel(1);
        let link = HttpClient::Legacy(Arc::clone(&session), left.clone()).into_link(response);
        let reader = session.begin_reading(left.clone());
        let message = || notification("notifications/message", None);
        assert_eq!(link.try_send(message()), Some(Carrier::Response));
        assert_eq!(link.try_send(message()), None, "the client does not read");
        assert!(received.recv().await.is_some());
        assert_eq!(link.closed(Carrier::Response).now_or_never(), None);
        drop(reader);
        assert_eq!(link.closed(Carrier::Response).now_or_never(), Some(()));
        assert_eq!(link.try_send(message()), None, "the session has no stream");
        let (mut stream, _ended) = session.open_stream();
        let stream_reader = session.begin_reading(CancellationToken::new());
        assert_eq!(link.try_send(message()), Some(Carrier::Session));
        assert!(stream.recv().await.is_some());
        assert_eq!(link.closed(Carrier::Session).now_or_never(), None);
        drop(stream_reader);
        assert_eq!(link.closed(Carrier::Session).now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn http_link_uses_session_stream_after_response() {
        let session = open_session();
        let (response, received) = mpsc::channel(1);
        let link = HttpClient::Legacy(Arc::clone(&session), CancellationToken::new()).into_link(response);
        let (mut stream, _ended) = session.open_stream();
        drop(received);
        assert_eq!(link.try_send(notification("x", None)), Some(Carrier::Session));
        assert!(stream.recv().await.is_some());
    }
}
