//! Sessions and providers from outside, against every row of the refresh rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

mod allowed_accounts;
mod audit;
mod backoff;
mod cached;
mod caller_identity;
mod cancellation;
mod chain;
mod children;
mod clear;
mod clocks;
mod contract;
mod credentials_version;
mod derived_account;
mod failure;
mod freshness;
mod held_credentials;
mod herd;
mod identifiers;
mod inherited_account;
mod is_cleared;
mod keep_warm;
mod key_exchange;
mod lifetime;
mod mark_rejected;
mod model;
mod narrow;
mod observer;
mod outstanding;
mod policy;
mod provider_fn;
mod refresh;
mod registry;
mod rotation_watcher;
mod scenarios;
mod secrecy;
mod session_fixture;
mod set_credentials;
mod set_from_resolver;
mod short_lived;
mod stress;
mod workday;
