//! Finds the hosts of AWS services, for a proxy that signs the requests of programs that hold no working key.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod routes;

/// Compiles the Rust code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
