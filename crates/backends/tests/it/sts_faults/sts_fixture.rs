//! A fake STS on a socket of its own, with scripted faults.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use valetkey_backends::AwsClientConfig;
use valetkey_core::testing::{Canary, VirtualClock};
use valetkey_core::{Clock, Expiry};

use crate::http_fixture::{assume_role_response, refused};
use crate::loopback_fixture::read_request;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultMode {
    RespondsWithError(u16, &'static str),
    /// Reads the request, and says nothing more.
    NeverResponds,
    /// Goes away in the middle of what it promised to say.
    DisconnectsMidResponse,
    /// Sends half of the response as if it were complete.
    TruncatesBody,
    /// Responds with a body that is not XML and contains credentials.
    RespondsGarbage,
    /// Goes away before it says anything.
    Disconnects,
    /// No server listens at its address.
    RefusesConnections,
}

pub(super) struct StsFixture {
    address: SocketAddr,
    fault: watch::Sender<Option<FaultMode>>,
    log: Arc<Mutex<StsLog>>,
    server_task: JoinHandle<()>,
}

impl Drop for StsFixture {
    fn drop(&mut self) {
        self.server_task.abort();
    }
}

/// The number of requests, and the issued credentials.
#[derive(Default)]
struct StsLog {
    requests: usize,
    issued: Vec<Canary>,
}

impl StsFixture {
    /// Issues credentials that are valid for `life`.
    pub(super) async fn start(clock: VirtualClock, life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, log) = (listener.local_addr().unwrap(), Arc::<Mutex<StsLog>>::default());
        let fault = watch::Sender::new(None);
        let handler = StsHandler { clock, life, log: Arc::clone(&log) };
        let handler = tokio::spawn(run_server(listener, fault.subscribe(), handler));
        Self { address, fault, log, server_task: handler }
    }

    /// The SDK as it is, with its standard retries. The region is this server's own: the SDK shares a quota of retries
    /// among all clients of a service and region.
    pub(super) fn client_config(&self) -> AwsClientConfig {
        let letters: String =
            self.address.port().to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        let region = format!("test-{letters}-1").parse().unwrap();
        AwsClientConfig::new().region(&region).endpoint_url(format!("http://{}", self.address))
    }

    pub(super) fn set_fault(&self, fault: FaultMode) {
        self.fault.send_replace(Some(fault));
    }

    pub(super) fn clear_fault(&self) {
        self.fault.send_replace(None);
    }

    pub(super) fn request_count(&self) -> usize {
        self.lock_log().requests
    }

    /// All credentials that were sent, complete or not.
    pub(super) fn issued(&self) -> Vec<Canary> {
        self.lock_log().issued.clone()
    }

    fn lock_log(&self) -> MutexGuard<'_, StsLog> {
        self.log.lock().unwrap()
    }
}

async fn run_server(
    mut listener: TcpListener,
    mut fault: watch::Receiver<Option<FaultMode>>,
    handler: StsHandler,
) {
    let address = listener.local_addr().unwrap();
    loop {
        let accepted = tokio::select! {
            biased;
            () = wait_listening(&mut fault, false) => None,
            accepted = listener.accept() => Some(accepted.unwrap().0),
        };
        let Some(stream) = accepted else {
            drop(listener);
            // Bound, so that no other process takes the address, and not listening, so that connections are refused.
            let unlistened = TcpSocket::new_v4().unwrap();
            unlistened.set_reuseaddr(true).unwrap();
            unlistened.bind(address).unwrap();
            wait_listening(&mut fault, true).await;
            listener = unlistened.listen(64).unwrap();
            continue;
        };
        tokio::spawn(handler.clone().respond(stream, *fault.borrow()));
    }
}

async fn wait_listening(fault: &mut watch::Receiver<Option<FaultMode>>, listening: bool) {
    fault.wait_for(|fault| (*fault != Some(FaultMode::RefusesConnections)) == listening).await.unwrap();
}

#[derive(Clone)]
struct StsHandler {
    clock: VirtualClock,
    life: Duration,
    log: Arc<Mutex<StsLog>>,
}

impl StsHandler {
    async fn respond(self, mut stream: TcpStream, fault: Option<FaultMode>) {
        if read_request(&mut stream).await.is_empty() {
            return;
        }
        self.log.lock().unwrap().requests += 1;
        let (status, body, promised) = match fault {
            None => self.issue_response(1, 1),
            Some(FaultMode::RespondsWithError(status, code)) => {
                let (_, echoed, _) = self.issue_response(1, 1);
                full_response(status, refused(code, &echoed.replace(['<', '>'], " ")))
            }
            Some(FaultMode::DisconnectsMidResponse) => self.issue_response(2, 1),
            Some(FaultMode::TruncatesBody) => self.issue_response(2, 2),
            Some(FaultMode::RespondsGarbage) => {
                full_response(200, format!("\u{1}<<not & {}", self.issue_response(1, 1).1))
            }
            Some(FaultMode::NeverResponds) => std::future::pending().await,
            Some(FaultMode::Disconnects | FaultMode::RefusesConnections) => return,
        };
        let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {promised}\r\n\r\n");
        // A caller that has given up does not read it.
        let _sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }

    /// New credentials, truncated to one part in `say` with a length of one part in `promise`.
    fn issue_response(&self, say: usize, promise: usize) -> (u16, String, usize) {
        let canary = Canary::new();
        let keys = canary.credentials(Expiry::Never).unwrap();
        let (id, token) = (keys.access_key_id().as_str(), keys.expose_session_token().unwrap());
        let until = Expiry::At(self.clock.now() + self.life).to_string();
        let whole =
            assume_role_response(id, canary.expose_secret(), token).replace("2099-01-01T00:00:00Z", &until);
        assert!(whole.contains(&until));
        self.log.lock().unwrap().issued.push(canary);
        // The token precedes the expiry, so half a response contains every secret.
        let half = whole.find("<Expiration>").unwrap();
        let part = |of: usize| if of == 1 { whole.len() } else { half };
        (200, whole[..part(say)].to_owned(), part(promise))
    }
}

/// The length of the body is the announced length.
fn full_response(status: u16, body: String) -> (u16, String, usize) {
    let length = body.len();
    (status, body, length)
}
