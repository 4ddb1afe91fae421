//! Runs one request through rmcp: a transport that carries one message in, and the messages for its client out. A call
//! of a legacy client does not need rmcp.

use std::convert::Infallible;

use rmcp::RoleServer;
use rmcp::model::{InitializeRequestParams, JsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage, serve_directly_with_ct};
use rmcp::transport::Transport;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::caller::CallerTools;
use super::encoded_list::ListSlot;
use super::link::HttpClient;
use super::quota::Permit;
use crate::client::attach_link;
use crate::gateway::{DirectCall, GatewayService};

/// How many messages a client may leave unread before the handler waits for it. Each request has its own channel, so a
/// client that does not read delays no other request.
pub(super) const UNREAD_MESSAGES: usize = 16;

pub(super) type Incoming = RxJsonRpcMessage<RoleServer>;
pub(super) type Outgoing = TxJsonRpcMessage<RoleServer>;

/// A request to run.
pub(super) struct Exchange {
    pub(super) service: GatewayService,
    pub(super) message: Incoming,
    /// The client that the messages of servers go to.
    pub(super) client: HttpClient,
    /// The `initialize` parameters of a legacy client, with the negotiated version.
    pub(super) peer: Option<InitializeRequestParams>,
    /// Cancels the request.
    pub(super) cancelled: CancellationToken,
    /// The list that the response contains, if it is one.
    pub(super) list: ListSlot,
    /// Counts the request against the limits of its principal until its handler has ended.
    pub(super) permit: Permit,
}

/// A call of a legacy client, which runs without rmcp.
pub(super) struct DirectExchange {
    pub(super) call: DirectCall,
    pub(super) source: CallerTools,
    pub(super) client: HttpClient,
    pub(super) cancelled: CancellationToken,
    pub(super) permit: Permit,
}

impl DirectExchange {
    /// Runs the call in a task, and returns the messages for the client. The last one is a response or an error.
    pub(super) fn spawn(self, tasks: &TaskTracker) -> Messages {
        let Self { call, source, client, cancelled, permit } = self;
        let (outbox, receiver) = mpsc::channel(UNREAD_MESSAGES);
        let link = client.into_link(outbox.clone());
        tasks.spawn(async move {
            let response = call.run(&source, link, cancelled).await;
            // Fails when the client has left.
            let _unread = outbox.send(response).await;
            drop(permit);
        });
        Messages { receiver, list: ListSlot::default() }
    }
}

/// The messages for the client of one request, and the list that the last one contains.
pub(super) struct Messages {
    pub(super) receiver: mpsc::Receiver<Outgoing>,
    pub(super) list: ListSlot,
}

impl Exchange {
    /// Runs the request in a task, and returns the messages for the client. The last one is a response or an error.
    pub(super) fn spawn(mut self, tasks: &TaskTracker) -> Messages {
        let (outbox, receiver) = mpsc::channel(UNREAD_MESSAGES);
        if let JsonRpcMessage::Request(request) = &mut self.message {
            attach_link(&mut request.request, self.client.into_link(outbox.clone()));
        }
        let transport =
            OneRequestTransport { message: Some(self.message), outbox, finished: CancellationToken::new() };
        let running = serve_directly_with_ct(self.service, transport, self.peer, self.cancelled);
        let permit = self.permit;
        tasks.spawn(async move {
            // The result is not needed: the response was sent, or no client waits for it.
            let _ended = running.waiting().await;
            drop(permit);
        });
        Messages { receiver, list: self.list }
    }
}

/// Delivers one request, and ends after its response, whether or not the client still reads.
struct OneRequestTransport {
    message: Option<Incoming>,
    outbox: mpsc::Sender<Outgoing>,
    finished: CancellationToken,
}

impl Transport<RoleServer> for OneRequestTransport {
    type Error = Infallible;

    fn send(&mut self, message: Outgoing) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (outbox, finished) = (self.outbox.clone(), self.finished.clone());
        async move {
            let is_last = is_final(&message);
            // Fails when the client has left. The handler continues, unless it is cancelled.
            let _unread = outbox.send(message).await;
            if is_last {
                finished.cancel();
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<Incoming> {
        if let Some(message) = self.message.take() {
            return Some(message);
        }
        self.finished.cancelled().await;
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Whether no message follows this one.
pub(super) fn is_final(message: &Outgoing) -> bool {
    matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_))
}
