//! Tests of the program as people and clients use it: arguments, files and environment in, exit code and output out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod check;
mod cloud;
mod credential_process;
mod demo;
mod exec;
mod memory;
mod process;
mod real;
mod revocation_policy;
mod serve;
mod settings;
mod shell;
mod trust;
mod usage;
