//! Tests against real servers.

mod redis;
mod valkey;
