//! The agent tools, called as a model calls them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

mod acceptance;
mod access;
mod accounts;
mod canary;
mod definitions;
mod fixture;
mod listing;
mod malformed;
mod narrow;
mod random;
mod reveal;
mod service;
mod sign_in;
mod stack_job;
mod success;
mod toolset;
