//! Tests of the program as people and clients use it: arguments, files and environment in, exit code and output out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod access;
mod adopt;
mod aws_fixture;
mod check;
mod command_docs;
mod credential_process;
mod demo;
mod exec;
mod list;
mod memory;
mod ops;
mod packaging;
mod process;
mod program_fixture;
mod quick_start;
mod real;
mod report;
mod revocation_policy;
mod serve;
mod settings;
mod trust;
mod usage;
