//! Creates and locks a private folder, and verifies that the locked folder is the created one.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::fs::{Mode, OFlags};

use super::{PRIVATE_DIR_MODE, SessionDir};

/// Specific enough that no other program creates folders with this prefix.
pub(super) const DIR_PREFIX: &str = "valetkey-session-";
const RANDOM_SUFFIX_LEN: usize = 12;
const MAX_ATTEMPTS: usize = 16;
const WORLD_WRITABLE_BIT: u32 = 0o002;
const STICKY_BIT: u32 = 0o1000;

impl SessionDir {
    /// Creates an empty folder in `parent` and locks it.
    ///
    /// A concurrent [`remove_abandoned`](Self::remove_abandoned) may take a folder before it is locked. Such a folder
    /// is abandoned, and a new one is created.
    pub(super) fn create_locked(parent: &Path) -> io::Result<Self> {
        check_parent_permissions(parent)?;
        for _ in 0..MAX_ATTEMPTS {
            let path = create_unique_dir(parent)?;
            let lock = match lock_dir(&path) {
                Ok(lock) => Some(lock),
                Err(error) if is_taken(error.kind()) => continue,
                // The file system has no locks.
                Err(_unsupported) => None,
            };
            return Ok(Self { path, _lock: lock, is_removed: AtomicBool::new(false) });
        }
        Err(io::Error::other("every folder that was created was taken by another process"))
    }
}

fn is_taken(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::WouldBlock)
}

/// Rejects a folder in which other users could replace a session's folder with one of their own.
fn check_parent_permissions(parent: &Path) -> io::Result<()> {
    let mode = fs::metadata(parent)?.mode();
    if mode & WORLD_WRITABLE_BIT != 0 && mode & STICKY_BIT == 0 {
        let what = "everybody can replace files in the temporary folder: point TMPDIR at a folder of your own, or \
                    set the sticky bit";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(())
}

/// Creates a folder in `parent` with an unguessable name. An existing folder is never used.
fn create_unique_dir(parent: &Path) -> io::Result<PathBuf> {
    let private = Permissions::from_mode(PRIVATE_DIR_MODE);
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(DIR_PREFIX).rand_bytes(RANDOM_SUFFIX_LEN).permissions(private.clone());
    let path = builder.tempdir_in(parent)?.keep();
    match fs::set_permissions(&path, private) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(path),
    }
}

/// Opens the folder at `path` and locks it. The lock lasts until the file is closed, at the latest when this process
/// ends.
///
/// `systemd-tmpfiles` skips locked folders too, so a gateway that runs for weeks keeps its own.
pub(super) fn lock_dir(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    folder.try_lock()?;
    // Before it was locked, the folder may have been removed and replaced by another one of the same name.
    let (named, locked) = (fs::symlink_metadata(path)?, folder.metadata()?);
    if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) {
        Ok(folder)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}
