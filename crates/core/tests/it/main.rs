//! Sessions and providers from outside, against every row of the refresh rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

mod adoption;
mod allowed;
mod audit;
mod back_off;
mod bench;
mod cached;
mod cancellation;
mod chain;
mod children;
mod cleared;
mod clearing;
mod clocks;
mod contract;
mod derived;
mod eight_hours;
mod failure;
mod following;
mod freshness;
mod functions;
mod herd;
mod holding;
mod inherited;
mod key_exchange;
mod lifetime;
mod model;
mod names;
mod narrow;
mod observing;
mod outstanding;
mod policy;
mod refresh;
mod registry;
mod rejected;
mod rotations;
mod scenarios;
mod secrecy;
mod setting;
mod short_lived;
mod stress;
mod warm;
mod whoami;
