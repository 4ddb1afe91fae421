//! The gateway over a stream, with raw and real clients of both protocol eras.

mod changes;
mod client;
pub(crate) mod client_fixture;
mod closing;
mod contents;
mod eras;
mod leaving;
mod malformed;
mod narrowed;
mod unreadable;
