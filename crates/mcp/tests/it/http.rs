//! The gateway over HTTP, on real sockets: transport, authentication, and whose session a call acts on.

mod challenge;
pub(crate) mod client;
mod hijack;
mod isolation;
mod legacy;
mod limits;
mod modern;
pub(crate) mod stage;
mod streams;
mod tokens;
