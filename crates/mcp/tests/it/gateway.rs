//! The gateway over a stream, with raw and real clients of both protocol eras.

mod accounts;
mod approval;
mod client;
pub(crate) mod client_fixture;
mod closing;
mod disconnect;
mod input;
mod items;
mod malformed;
mod narrowed;
mod pass_through;
mod protocol_eras;
mod protocol_errors;
mod server_messages;
mod sign_in;
mod tool_changes;
mod unreadable;
mod updates;
