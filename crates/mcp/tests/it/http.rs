//! The gateway over HTTP, on real sockets: transport, authentication, and whose session a call acts on.

mod access_tokens;
mod accounts;
mod approval;
mod canary;
mod challenge;
pub(crate) mod client_fixture;
mod fault_memory;
mod faults;
mod filters;
pub(crate) mod fixture;
mod hijack;
mod input_required;
mod isolation;
mod items;
mod legacy;
mod limits;
mod modern;
mod paths;
mod processes;
mod reload;
mod server_messages;
mod shared;
mod streams;
mod tasks;
mod tls;
mod tokens;
