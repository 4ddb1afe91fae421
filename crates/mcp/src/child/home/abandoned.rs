//! Removing folders: of sessions that have ended, and of processes that were killed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::geteuid;

use super::claim::{DIR_PREFIX, lock_dir};
use super::{PRIVATE_DIR_MODE, SessionDir};

const PERMISSION_BITS: u32 = 0o7777;

impl SessionDir {
    /// Removes the folders of processes that ended without removing theirs, such as those that were killed.
    ///
    /// A folder is removed only if it has the name, owner and mode that this user's own have, and no process holds its
    /// lock. What cannot be removed stays. Blocks: call it where that is allowed.
    pub fn remove_abandoned() {
        let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(DIR_PREFIX)) {
                match remove_if_abandoned(&entry.path()) {
                    Ok(()) => tracing::debug!("a folder of a process that was killed is removed"),
                    Err(error) => tracing::trace!(%error, "a folder of another process stays"),
                }
            }
        }
    }
}

fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    let folder = lock_dir(path)?;
    if !is_owned_by_user(&folder)? {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // Locked meanwhile, so that no other process removes it too, or claims it.
    remove_dir_tree(path)
}

fn is_owned_by_user(folder: &File) -> io::Result<bool> {
    let found = folder.metadata()?;
    Ok(found.uid() == geteuid().as_raw() && found.mode() & PERMISSION_BITS == PRIVATE_DIR_MODE)
}

/// Removes a folder with everything in it, also folders that are read-only, as in the module cache of Go.
pub(super) fn remove_dir_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_tree_writable(path)?;
            fs::remove_dir_all(path)
        }
        removed => removed,
    }
}

fn make_tree_writable(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(PRIVATE_DIR_MODE))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_tree_writable(&entry.path())?;
        }
    }
    Ok(())
}
