//! A simulation of many nodes that keep the credentials of many sessions fresh for a day, within the quota of STS.
//!
//! | module | responsibility |
//! |---|---|
//! | [`rules`] | when credentials are refreshed, and when a failed refresh is repeated |
//! | [`scenario`] | what happens on the day: how many sessions, on how many nodes, which outages |
//! | [`sts`] | the calls that STS accepts |
//! | [`fleet`] | the nodes and their sessions, event by event |
//! | [`series`] | what is counted in each minute |
//! | [`report`] | tables and plots |
//!
//! The rules are those of `valetkey-core`, written again as numbers so that a day of a million sessions takes
//! minutes. A test runs the same day with sessions of `valetkey-core` in virtual time, and compares the two.

pub mod fleet;
pub mod report;
pub mod rules;
pub mod scenario;
pub mod series;
pub mod sts;

/// Time since the beginning of the day, in milliseconds.
pub type Millis = u32;

/// A second.
pub const SECOND: Millis = 1_000;
/// A minute.
pub const MINUTE: Millis = 60 * SECOND;
/// An hour.
pub const HOUR: Millis = 60 * MINUTE;
/// The simulated day.
pub const DAY: Millis = 24 * HOUR;
