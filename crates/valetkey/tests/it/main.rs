//! The examples, run as a reader would run them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(all(feature = "memory", feature = "tools"))]
mod examples;
