//! Removes the folders of ended sessions and of killed processes.
//!
//! A folder is in use while its lock is held. The operating system releases the lock of a killed process, so an
//! unlocked folder was abandoned.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::geteuid;

use super::claim::{DIR_PREFIX, lock_dir};
use super::{PRIVATE_DIR_MODE, SessionDir};

const PERMISSION_BITS: u32 = 0o7777;

impl SessionDir {
    /// Removes the session folders of processes that ended without removing them, for example because they were
    /// killed.
    ///
    /// A folder is removed only if its name, owner and mode are those of this user's session folders, and no process
    /// holds its lock. A folder that cannot be removed is skipped. This function blocks the thread.
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
    // The lock is held during removal, so that no other process removes or claims the folder.
    remove_dir_tree(path)
}

fn is_owned_by_user(folder: &File) -> io::Result<bool> {
    let found = folder.metadata()?;
    Ok(found.uid() == geteuid().as_raw() && found.mode() & PERMISSION_BITS == PRIVATE_DIR_MODE)
}

/// Removes a folder and its contents, including read-only folders such as those in the module cache of Go.
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
