//! Tests of the signing proxy through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here fails a test")]

mod audit;
mod hostile_bytes;
mod http2;
mod real;
mod recording_service;
mod repeated;
mod request_fixture;
mod routes;
