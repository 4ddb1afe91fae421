//! Real peers for valetkey's tests: pinned Python and JavaScript programs under `target/rig`, and handles that start and stop them.
//!
//! `cargo xtask rig` installs them once. A test then starts what it needs on a free loopback port:
//!
//! ```no_run
//! # async fn test() -> valetkey_rig::Result<()> {
//! let moto = valetkey_rig::Moto::start().await?;
//! println!("{}", moto.url());
//! moto.stop().await
//! # }
//! ```
//!
//! Every peer listens on 127.0.0.1 only, gets an environment built from nothing and a `HOME` and `TMPDIR` of its own,
//! and dies with its handle. Its log stays in `target/rig/run/<pid>-…` when a test ends without [`stop`](Moto::stop).

mod balancer;
mod chromium;
mod docker;
mod egress;
mod environment;
mod error;
mod folder;
mod go;
mod http;
pub mod install;
mod java;
mod ministack;
mod moto;
pub mod packages;
mod peer;
mod port;
mod python_server;
mod readiness;
mod redis;
mod script;
mod search_path;
mod seed;
#[cfg(feature = "tokens")]
mod signing_key;
mod venv;

pub use balancer::{Balancer, BalancerKind};
pub use chromium::chromium;
pub use docker::docker;
pub use egress::Egress;
pub use environment::{REGION, aws_api_environment, aws_environment};
pub use error::{Error, Result};
pub use go::{GO_PACKAGES, go};
pub use java::{java, java_class_path};
pub use ministack::MiniStack;
pub use moto::Moto;
pub use python_server::PythonServer;
pub use redis::{Redis, redis_server, valkey_server};
pub use script::{Script, python};
pub use search_path::programs;
pub use seed::{AccessKey, Seed, Tenant};
#[cfg(feature = "tokens")]
pub use signing_key::SigningKey;
pub use venv::{Venv, program, target_dir};
