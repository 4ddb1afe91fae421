//! Runs the examples as a user would.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(all(
    feature = "memory",
    feature = "env",
    feature = "sts",
    feature = "sdk",
    feature = "secrets-manager",
    feature = "tools",
    feature = "test-util"
))]
mod examples;
#[cfg(feature = "test-util")]
mod test_util;
