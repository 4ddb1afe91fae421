//! Integration tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here fails a test")]

mod client_handle;
mod contents;
mod key_ring;
mod known_sessions;
mod memory;
mod model;
mod real;
mod sealing;
