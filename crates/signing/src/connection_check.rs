//! `ConnectionCheck`: which programs may use a placeholder, decided by their connections.

use std::net::SocketAddr;

use async_trait::async_trait;

/// Decides whether the program at the other end of a connection may use a placeholder.
///
/// See [`Placeholder::restrict_to`](crate::Placeholder::restrict_to). `valetkey-mcp` has one that permits a program and what
/// it starts (`child::ProcessTree`).
///
/// # Contract for implementors
/// - *Fail closed.* A connection whose program cannot be found is not permitted.
/// - *Bounded.* The request of the program waits meanwhile.
#[async_trait]
pub trait ConnectionCheck: Send + Sync {
    /// Whether the connection from `client` to the proxy at `server` may use the placeholder. A permission holds for the
    /// connection.
    async fn is_permitted(&self, client: SocketAddr, server: SocketAddr) -> bool;
}
