//! Requests through the signing proxy and through a bare reverse proxy: the upstream, the peer and the client of the
//! measure `signing`.

mod bare_proxy;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod connection;
pub(crate) mod fixture;
pub(crate) mod in_progress;
mod upstream;
