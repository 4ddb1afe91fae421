//! `ProcessTree`: a program that was started here, with everything that it starts, at the other end of a connection.
//!
//! | question | source |
//! |---|---|
//! | which socket is at the other end | `/proc/net/tcp` and `tcp6`: the one whose addresses are those of the connection, reversed |
//! | which process has it | the descriptors of the program and of its descendants, in `/proc` |
//!
//! What cannot be read belongs to no program.

use std::fs;
use std::net::{SocketAddr, SocketAddrV4};

use async_trait::async_trait;
use tokio::sync::SetOnce;
use tokio::task::spawn_blocking;
use valetkey_signing::ConnectionCheck;

use super::descendants::children_of;

/// A program that is to be started, with the processes that it will start. As a [`ConnectionCheck`], it permits their
/// connections and no others.
///
/// A process that has left the program's tree, because its parent has ended, is a descendant of the program's
/// [`Launcher`](super::Launcher); without a launcher, it is refused.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use valetkey_core::SessionContext;
/// use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, ProcessTree, Stdio};
/// use valetkey_mcp::signing::{Rules, SigningProxy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = SessionContext::builder().build();
/// let account = session.account(session.default_account())?;
/// let program = Arc::new(ProcessTree::new());
/// let proxy = SigningProxy::start().await?;
/// let placeholder = proxy.placeholder(account, "report", Rules::default()).restrict_to(program.clone());
/// let environment = ChildEnvironment::new(&HostEnvironment::from_process(), []);
/// let environment = environment.with_placeholder(&placeholder);
/// let mut child = ChildProcess::spawn(ChildCommand::new("true"), environment, Stdio::Piped)?;
/// program.started(child.pid());
/// child.wait().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct ProcessTree(SetOnce<u32>);

impl ProcessTree {
    /// Creates the tree of a program that was not started yet. Connections wait until it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the process id of the program. Only the first call has an effect.
    pub fn started(&self, pid: u32) {
        let _is_set = self.0.set(pid);
    }
}

#[async_trait]
impl ConnectionCheck for ProcessTree {
    async fn is_permitted(&self, client: SocketAddr, server: SocketAddr) -> bool {
        let root = *self.0.wait().await;
        spawn_blocking(move || has_connection(root, client, server)).await.unwrap_or(false)
    }
}

/// Whether the process `root` or a descendant of it has the connection from `client` to `server`.
fn has_connection(root: u32, client: SocketAddr, server: SocketAddr) -> bool {
    let (SocketAddr::V4(client), SocketAddr::V4(server)) = (client, server) else { return false };
    let Some(socket) = find_socket(client, server) else { return false };
    let mut found = vec![root];
    while let Some(process) = found.pop() {
        if has_descriptor(process, &socket) {
            return true;
        }
        found.extend(children_of(process));
    }
    false
}

/// Returns the socket of `client` in a connection to `server`, as links of descriptors name it.
fn find_socket(client: SocketAddrV4, server: SocketAddrV4) -> Option<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let addresses = [client, server].map(|address| match table.ends_with('6') {
            true => format!("{}{}", mapped_prefix(), table_address(address)),
            false => table_address(address),
        });
        let text = fs::read_to_string(table).ok()?;
        let mut rows = text.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.get(1..3) == Some(&[addresses[0].as_str(), addresses[1].as_str()]))?;
        // A socket that no process has any more has the number 0, which no link has.
        row.get(9).map(|inode| format!("socket:[{inode}]"))
    })
}

/// Returns an address as the tables of sockets have it: each word of it as a number in the order of the machine.
fn table_address(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

/// Returns what precedes an IPv4 address in the table of IPv6 sockets.
fn mapped_prefix() -> String {
    format!("{:016X}{:08X}", 0, u32::from_ne_bytes([0, 0, 0xff, 0xff]))
}

fn has_descriptor(process: u32, link: &str) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| target.as_os_str() == link)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv6Addr, TcpListener, TcpStream};
    use std::process::{Command, Stdio};

    use super::*;

    /// Connects a program, and returns whether it is found under `root`.
    fn connect(root: impl FnOnce(u32) -> u32) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // A grandchild connects, and waits until the connection is closed.
        let script = format!("(exec 3<>/dev/tcp/127.0.0.1/{}; read -r _ <&3) & wait", address.port());
        let mut shell = Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).spawn().unwrap();
        let (stream, client) = listener.accept().unwrap();
        let is_found = has_connection(root(shell.id()), client, address);
        drop(stream);
        shell.wait().unwrap();
        is_found
    }

    #[test]
    fn process_tree_has_connections_of_its_processes_only() {
        assert!(connect(|shell| shell));
        assert!(connect(|_| std::process::id()));
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(!connect(|_| other.id()));
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(!connect(|_| other.id()), "it has ended");
    }

    #[test]
    fn process_tree_finds_socket_of_ipv6_program() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mapped = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped(), address.port()));
        let stream = TcpStream::connect(mapped).unwrap();
        let (mut accepted, client) = listener.accept().unwrap();
        assert!(has_connection(std::process::id(), client, address));
        let other = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
        assert!(!has_connection(std::process::id(), other, address));
        drop(stream);
        assert_eq!(accepted.read(&mut [0]).unwrap(), 0);
        assert!(!has_connection(std::process::id(), client, address), "it is closed");
    }
}
