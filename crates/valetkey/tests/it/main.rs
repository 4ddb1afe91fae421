//! The examples, run as a reader would run them.

#[cfg(all(feature = "memory", feature = "tools"))]
mod examples;
