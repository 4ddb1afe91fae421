//! The few primitives that the model checker replaces: under `cfg(valetkey_loom)` the same code runs on loom's types.
//!
//! Code that is checked imports from here: loom explores only the order of operations on its own types.

#[cfg(valetkey_loom)]
mod loom_shims;

#[cfg(not(valetkey_loom))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(not(valetkey_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(valetkey_loom)]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(valetkey_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(valetkey_loom)]
pub(crate) use loom_shims::Swap;
#[cfg(valetkey_loom)]
pub(crate) use std::sync::PoisonError;

/// An `Arc` that is read without a lock.
#[cfg(not(valetkey_loom))]
pub(crate) type Swap<V> = arc_swap::ArcSwap<V>;
