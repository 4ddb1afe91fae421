//! Finds the machine's Java, and the AWS SDK for it, which an archive in a Python package contains: no index that the rig
//! installs from has the SDK itself. The SDK's packages have the prefix `smfs.shaded` there.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, Result, Venv, programs};

/// The logging API that the SDK needs, and an implementation that drops all messages: Debian's packages.
const LOGGING: [&str; 2] = ["/usr/share/java/slf4j-api.jar", "/usr/share/java/slf4j-nop.jar"];

/// The path of `java`, or [`Error::NoJava`] if it, its compiler or the logging API is missing.
pub fn java() -> Result<PathBuf> {
    let is_complete = !programs(&["javac"]).is_empty() && LOGGING.iter().all(|jar| Path::new(jar).is_file());
    programs(&["java"]).into_iter().next().filter(|_| is_complete).ok_or(Error::NoJava)
}

/// The class path of programs that use the SDK, or [`Error::NotBuilt`].
pub fn java_class_path() -> Result<OsString> {
    let not_built = |_missing| Error::NotBuilt;
    let folders = fs::read_dir(Venv::Java.path().join("lib")).map_err(not_built)?;
    let folders =
        folders.flatten().map(|python| python.path().join("site-packages/feature_store_pyspark/jars"));
    let archives = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    // One for each version of Spark: the SDK in them is the same.
    let archive = archives.map(|archive| archive.path()).min().filter(|_| Venv::Java.is_built());
    let archive = archive.ok_or(Error::NotBuilt)?;
    env::join_paths([archive].into_iter().chain(LOGGING.map(PathBuf::from))).map_err(|_colon| Error::NotBuilt)
}
