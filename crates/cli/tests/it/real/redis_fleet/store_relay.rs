//! `StoreRelay`: the connections between a gateway and Redis, which can be held at one operation.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An operation of the store: a text of its script, and the word that begins its response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) request: &'static str,
    pub(super) response: &'static str,
}

/// Where an operation is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldPoint {
    /// Before Redis receives it. It is delivered when it is released.
    Request,
    /// After Redis has executed it. The response is lost, together with the connection.
    Response,
}

/// Forwards between a gateway and Redis. It stops when it is dropped.
pub(super) struct StoreRelay {
    port: u16,
    trap: Arc<Mutex<Option<Trap>>>,
    accept_task: JoinHandle<()>,
}

struct Trap {
    operation: Operation,
    point: HoldPoint,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// An operation that is to be held, until this is dropped.
pub(super) struct HeldOperation {
    reached: oneshot::Receiver<()>,
    _release: oneshot::Sender<()>,
}

impl HeldOperation {
    /// Waits until the operation is held.
    pub(super) async fn reached(&mut self) {
        (&mut self.reached).await.unwrap();
    }
}

impl StoreRelay {
    pub(super) async fn start(redis: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let trap = Arc::<Mutex<Option<Trap>>>::default();
        let traps = Arc::clone(&trap);
        let accept_task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, redis, Arc::clone(&traps)));
            }
        });
        Self { port, trap, accept_task }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Holds the next operation of this kind.
    pub(super) fn hold(&self, operation: Operation, point: HoldPoint) -> HeldOperation {
        let ((reached, is_reached), (release, released)) = (oneshot::channel(), oneshot::channel());
        *self.trap.lock().unwrap() = Some(Trap { operation, point, reached, released });
        HeldOperation { reached: is_reached, _release: release }
    }
}

impl Drop for StoreRelay {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

impl Trap {
    async fn hold(self) {
        let _ended = self.reached.send(());
        let _released = self.released.await;
    }
}

/// Forwards one connection until either side closes it.
async fn relay(mut client: TcpStream, redis: u16, traps: Arc<Mutex<Option<Trap>>>) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, redis)).await?;
    let (mut request, mut response) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut awaited: Option<Trap> = None;
    loop {
        tokio::select! {
            length = client.read(&mut request) => {
                let bytes = &request[..length?];
                let is_caught = |trap: &mut Trap| contains(bytes, trap.operation.request);
                let caught = traps.lock().unwrap().take_if(is_caught);
                match caught {
                    Some(trap) if trap.point == HoldPoint::Request => trap.hold().await,
                    Some(trap) => awaited = Some(trap),
                    None if bytes.is_empty() => return Ok(()),
                    None => {}
                }
                server.write_all(bytes).await?;
            }
            length = server.read(&mut response) => {
                let bytes = &response[..length?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if let Some(trap) = awaited.take_if(|trap| contains(bytes, trap.operation.response)) {
                    trap.hold().await;
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}
