//! Tests of the signing proxy through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here fails a test")]

mod audit;
mod real;
mod request_fixture;
mod routes;
