//! `OpsListener`: accepts connections on an address or a socket, within limits.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::geteuid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use valetkey::mcp::child::is_descendant;

use super::access::Access;
use super::address::OpsAddress;
use super::response::{refuse_server, respond};
use super::state::OpsState;

/// Limit on open connections; further ones wait.
const MAX_CONNECTIONS: usize = 32;
/// Limit on the time for a request head, and for the pause between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit on the time that a connection stays open, so that clients that do not read cannot hold every connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Limit on the size of a request head, in bytes.
const MAX_HEAD_SIZE: usize = 16 * 1024;
/// Delay before accepting again after an error.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// An open listener.
pub(super) struct OpsListener {
    socket: Socket,
    access: Arc<Access>,
    url: String,
    /// Whether the listener shows a status page whose decisions it can take.
    has_page: bool,
    _file: Option<SocketFile>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a Unix socket, which is removed when the listener is dropped.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another program may have removed it.
        let _gone = std::fs::remove_file(&self.0);
    }
}

impl OpsListener {
    /// Opens a listener whose rules `access` returns for its address.
    pub(super) async fn bind(
        address: &OpsAddress,
        access: impl FnOnce(&OpsAddress) -> Access,
    ) -> io::Result<Self> {
        match address {
            OpsAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                let access = Arc::new(access(&OpsAddress::Tcp(address)));
                let has_page = access.accepts_code();
                Ok(Self {
                    socket: Socket::Tcp(listener),
                    access,
                    url: format!("http://{address}/"),
                    has_page,
                    _file: None,
                })
            }
            OpsAddress::Unix(path) => {
                remove_stale(path)?;
                let access = access(address);
                Self::bind_unix(path.clone(), access)
            }
        }
    }

    /// Opens a listener on a socket in a folder that only this user can enter.
    pub(super) fn bind_private(path: PathBuf) -> io::Result<Self> {
        let access = Access::new(&OpsAddress::Unix(path.clone()), Vec::new());
        Self::bind_unix(path, access)
    }

    fn bind_unix(path: PathBuf, access: Access) -> io::Result<Self> {
        let listener = UnixListener::bind(&path)?;
        let url = format!("unix:{}", path.display());
        let file = SocketFile(path);
        std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            socket: Socket::Unix(listener),
            access: Arc::new(access),
            url,
            has_page: false,
            _file: Some(file),
        })
    }

    /// Whether only processes of the user of this program can open it.
    pub(super) fn is_socket(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
    }

    /// Returns the address of the status page, if it can take decisions.
    pub(super) fn page(&self) -> Option<&str> {
        self.has_page.then_some(self.url.as_str())
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Serves until the future is dropped, which ends every open connection.
    pub(super) async fn serve(&self, state: &Arc<OpsState>) {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= MAX_CONNECTIONS {
                connections.join_next().await;
            }
            while connections.try_join_next().is_some() {}
            let (state, access) = (Arc::clone(state), Arc::clone(&self.access));
            let accepted = match &self.socket {
                Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    connections.spawn(serve_connection(stream, state, access));
                }),
                Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| match peer_of(&stream) {
                    Peer::Operator => drop(connections.spawn(serve_connection(stream, state, access))),
                    Peer::OwnServer => drop(connections.spawn(refuse_connection(stream))),
                    Peer::Other => {}
                }),
            };
            if let Err(error) = accepted {
                tracing::debug!(%error, "the operations listener could not accept");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    state: Arc<OpsState>,
    access: Arc<Access>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, access) = (Arc::clone(&state), Arc::clone(&access));
        async move { Ok::<_, Infallible>(respond(&state, &access, request).await) }
    });
    run_connection(stream, service).await;
}

/// Responds to each request that it is refused.
async fn refuse_connection(stream: UnixStream) {
    run_connection(stream, service_fn(async |_| Ok::<_, Infallible>(refuse_server()))).await;
}

/// Errors of a connection concern only its client.
async fn run_connection<S>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S)
where
    S: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    let _ended = timeout(CONNECTION_TIMEOUT, connection).await;
}

/// The process on the other side of a socket.
enum Peer {
    /// One of the same user, or of root.
    Operator,
    /// One that this gateway has started. It takes no decision that is an operator's.
    OwnServer,
    /// One of another user, which can open the socket only before its mode is set; or an unknown one.
    Other,
}

fn peer_of(stream: &UnixStream) -> Peer {
    let Ok(peer) = stream.peer_cred() else { return Peer::Other };
    let is_user = peer.uid() == geteuid().as_raw() || peer.uid() == 0;
    match peer.pid().and_then(|process| u32::try_from(process).ok()) {
        Some(process) if is_user && is_descendant(process, std::process::id()) => Peer::OwnServer,
        Some(_) if is_user => Peer::Operator,
        _ => Peer::Other,
    }
}

/// Removes a socket that no program listens on any more. Any other file is left, and binding fails.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    let is_stale = is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if is_stale { std::fs::remove_file(path) } else { Ok(()) }
}
