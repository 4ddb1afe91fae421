//! The gateway, spoken to over a stream by clients of both eras, by hand and with a real client.

mod changes;
mod client;
mod closing;
mod contents;
mod eras;
mod leaving;
mod malformed;
mod narrowed;
mod unreadable;
pub(crate) mod wire;
