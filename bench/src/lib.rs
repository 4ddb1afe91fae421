//! Compares valetkey with other credential caches in one program and one run. Each figure has a spread, and a goal if
//! one is defined.
//!
//! A *subject* returns credentials ([`subject`]); a *peer* is a subject that fetches from an upstream
//! ([`competitors`]); a *measure* compares subjects round by round ([`measure`]); its *results* ([`results`]) are
//! printed, written as JSON, or drawn ([`report`]).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints to a terminal")]
#![allow(clippy::disallowed_methods, reason = "the compared caches use the wall clock of the machine")]

mod build_info;
mod competitors;
mod contender;
mod env;
mod fake_source;
mod fleet;
mod gateway;
mod goal;
mod load;
mod machine;
mod measure;
mod payload;
mod profile;
pub mod program;
mod report;
mod results;
mod rounds;
mod signing;
pub mod soak;
mod subject;
mod subjects;

use std::error::Error;

/// The result of a run. The text of an error is printed.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
