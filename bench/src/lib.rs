//! valetkey beside its peers: one program, one run, every figure with its spread and, where there is one, its goal.
//!
//! A *subject* hands out a set of credentials ([`subject`]); a *peer* is a subject that fetches from an upstream
//! ([`peers`]); a *measure* puts them side by side, round by round ([`measure`]); a *sheet* collects what was found
//! ([`sheet`]) and is printed, written as JSON, or drawn ([`report`]).

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to the person who started it"
)]
#![allow(clippy::disallowed_methods, reason = "peers and upstream live by the wall clock of the machine")]

mod build_info;
mod competitors;
mod contender;
mod env;
mod fake_source;
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
mod subject;
mod subjects;

use std::error::Error;

/// Whatever stops a run; the person who started it reads the text.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
