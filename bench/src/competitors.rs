//! The compared subjects: credential caches as their users create them, and lower bounds.

pub(crate) mod dashmap;
pub(crate) mod google;
pub(crate) mod limits;
pub(crate) mod moka;
pub(crate) mod object_store;
pub(crate) mod registry;
pub(crate) mod reqsign;
pub(crate) mod sdk;
pub(crate) mod valetkey;

/// Returns a key like those of a registry: a principal and a handle.
pub(crate) fn registry_key(number: u64) -> String {
    format!("tenant-{:04}/user-{:06}/{number:016x}", number % 100, number % 10_000)
}
