//! Finds the machine's Go compiler and SDK: no index that the rig installs from has them.

use std::path::{Path, PathBuf};

use crate::{Error, Result, programs};

/// The `GOPATH` of the packages of Debian.
pub const GO_PACKAGES: &str = "/usr/share/gocode";

/// The path of the Go compiler, or [`Error::NoGo`] if it or Debian's package of the AWS SDK is missing.
pub fn go() -> Result<PathBuf> {
    let has_sdk = Path::new(GO_PACKAGES).join("src/github.com/aws/aws-sdk-go-v2").is_dir();
    programs(&["go"]).into_iter().next().filter(|_| has_sdk).ok_or(Error::NoGo)
}
