//! The sockets of running gateways, in a folder that only this user can enter.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::PathBuf;

use rustix::process::geteuid;
use uuid::Uuid;

use crate::files::absolute_dir;

/// Returns the folder: in `XDG_RUNTIME_DIR`, or else in the folder for temporary files.
pub(crate) fn path() -> PathBuf {
    match absolute_dir("XDG_RUNTIME_DIR") {
        Some(runtime) => runtime.join("valetkey"),
        None => std::env::temp_dir().join(format!("valetkey-{}", geteuid().as_raw())),
    }
}

/// Returns the path of a new socket, after creating the folder. The name is random: process ids repeat where several
/// containers share the folder.
pub(super) fn new_socket() -> io::Result<PathBuf> {
    let folder = path();
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    check_private()?;
    let random = Uuid::new_v4().simple().to_string();
    Ok(folder.join(format!("{}-{}.sock", std::process::id(), random.get(..8).unwrap_or_default())))
}

/// Fails unless the folder belongs to this user, and no other user can enter it.
fn check_private() -> io::Result<()> {
    let folder = path();
    let found = folder.symlink_metadata()?;
    let is_private = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    let shown = folder.display();
    let unsafe_folder = || {
        let remedy = "remove it, or set XDG_RUNTIME_DIR";
        io::Error::other(format!("{shown} is not a folder that only this user can enter; {remedy}"))
    };
    if is_private { Ok(()) } else { Err(unsafe_folder()) }
}

/// Returns the sockets of the folder, sorted by name.
///
/// # Errors
/// The folder cannot be read, or another user could have created what is in it.
pub(crate) fn sockets() -> io::Result<Vec<PathBuf>> {
    match check_private() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        checked => checked?,
    }
    let entries = std::fs::read_dir(path())?.filter_map(Result::ok);
    let sockets = entries.filter(|entry| entry.file_type().is_ok_and(|file| file.is_socket()));
    let mut paths: Vec<_> = sockets.map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
