//! Finds the machine's Go compiler and SDK: no index that the rig installs from has them.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// The `GOPATH` of the packages of Debian.
pub const GO_PACKAGES: &str = "/usr/share/gocode";

/// The path of the Go compiler, or [`Error::NoGo`] if it or Debian's package of the AWS SDK is missing.
pub fn go() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let compiler = env::split_paths(&path).map(|folder| folder.join("go")).find(|program| program.is_file());
    let has_sdk = Path::new(GO_PACKAGES).join("src/github.com/aws/aws-sdk-go-v2").is_dir();
    compiler.filter(|_| has_sdk).ok_or(Error::NoGo)
}
