//! `BuildInfo`: the versions in the lock file of the program, and the compiler's flags.

use serde::Serialize;
use toml::{Table, Value};

const LOCK_FILE: &str = include_str!("../Cargo.lock");

/// The packages that are measured or used to measure.
const REPORTED_PACKAGES: [&str; 13] = [
    "valetkey-core",
    "aws-smithy-runtime",
    "object_store",
    "reqsign",
    "google-cloud-auth",
    "moka",
    "dashmap",
    "arc-swap",
    "rmcp",
    "hyper",
    "tokio",
    "hdrhistogram",
    "stats_alloc",
];

#[derive(Clone, Debug, Serialize)]
pub(crate) struct BuildInfo {
    pub(crate) rustc: &'static str,
    pub(crate) profile: &'static str,
    pub(crate) rustflags: &'static str,
    pub(crate) target: &'static str,
    pub(crate) versions: Vec<PackageVersion>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct PackageVersion {
    pub(crate) package: &'static str,
    pub(crate) version: String,
}

impl BuildInfo {
    pub(crate) fn collect() -> Self {
        let lock: Table = LOCK_FILE.parse().unwrap_or_default();
        let locked =
            |package: &'static str| PackageVersion { package, version: locked_version(&lock, package) };
        Self {
            rustc: env!("BENCH_RUSTC"),
            profile: env!("BENCH_PROFILE"),
            rustflags: env!("BENCH_RUSTFLAGS"),
            target: env!("BENCH_TARGET"),
            versions: REPORTED_PACKAGES.into_iter().map(locked).collect(),
        }
    }
}

fn locked_version(lock: &Table, package: &str) -> String {
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut found = packages.filter(|entry| text(entry, "name").as_deref() == Some(package));
    found.next().and_then(|entry| text(entry, "version")).unwrap_or_else(|| "not in the lock file".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_info_every_package_is_in_lock_file() {
        for version in BuildInfo::collect().versions {
            assert!(version.version.starts_with(|first: char| first.is_ascii_digit()), "{version:?}");
        }
    }
}
