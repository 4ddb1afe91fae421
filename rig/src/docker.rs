//! Finds the machine's Docker client: no index that the rig installs from has one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result, programs};

/// The path of the Docker client on `PATH`, or [`Error::NoDocker`]. It needs no daemon. Another program of that name, such
/// as podman's, is not taken for it.
pub fn docker() -> Result<PathBuf> {
    programs(&["docker"]).into_iter().find(|program| is_docker(program)).ok_or(Error::NoDocker)
}

fn is_docker(program: &Path) -> bool {
    let said = Command::new(program).arg("--version").output();
    said.is_ok_and(|said| said.status.success() && said.stdout.starts_with(b"Docker version "))
}
