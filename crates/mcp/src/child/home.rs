//! `SessionDir`: a session's own home, temporary folder and AWS files on disk, none of which ever holds a key.

mod abandoned;
mod claim;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use valetkey_core::Region;

use super::HostEnvironment;

use abandoned::remove_dir_tree;

const PRIVATE_DIR_MODE: u32 = 0o700;
const PRIVATE_FILE_MODE: u32 = 0o600;

/// A private folder below the temporary folder of the host. Its folders have the mode 0700 and its files 0600, whatever
/// the umask is.
///
/// [`remove`](Self::remove) removes it when the children have ended. Dropping it removes it too, and blocks meanwhile.
/// When the process is killed, the folder stays until [`remove_abandoned`](Self::remove_abandoned) finds it.
#[derive(Debug)]
pub struct SessionDir {
    path: PathBuf,
    /// Locked while the folder is in use. `None` on a file system without locks, where it is never taken for abandoned.
    _lock: Option<File>,
    is_removed: AtomicBool,
}

impl SessionDir {
    /// Creates the folder, with an empty credentials file, and a config file that holds only a default profile and the
    /// region: servers that name a profile end at start without it.
    ///
    /// # Errors
    /// Returns the error of the file system. `PermissionDenied` when other users may replace what is in the temporary
    /// folder of the host, because everybody can write there and it has no sticky bit.
    pub fn create(region: Option<&Region>) -> io::Result<Self> {
        let home = Self::create_locked(&std::env::temp_dir())?;
        create_private_dir(&home.home_dir())?;
        create_private_dir(&home.tmp_dir())?;
        create_private_file(&home.credentials_file(), "")?;
        let region = region.map(|region| format!("region = {region}\n")).unwrap_or_default();
        create_private_file(&home.config_file(), &format!("[default]\n{region}"))?;
        Ok(home)
    }

    /// Links the configuration of tools that find it only in `HOME` to that of the host's user: bun and yarn have no
    /// variable for it. It may hold a token of a registry, so it is not copied.
    ///
    /// # Errors
    /// Returns the error of the file system. A tool that did not find its user's registry would ask the public one.
    pub fn with_configuration(self, host: &HostEnvironment) -> io::Result<Self> {
        host.linked().try_for_each(|(name, path)| symlink(path, self.home_dir().join(name)))?;
        Ok(self)
    }

    /// Removes the folder and everything in it, without blocking the runtime. Later calls do nothing. Once polled, the
    /// removal goes on even if the future is dropped.
    ///
    /// # Errors
    /// Returns the error of the file system. What could not be removed is left to
    /// [`remove_abandoned`](Self::remove_abandoned).
    pub async fn remove(&self) -> io::Result<()> {
        if self.is_removed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || remove_dir_tree(&path)).await.map_err(io::Error::other)?
    }

    /// For `HOME`.
    #[must_use]
    pub fn home_dir(&self) -> PathBuf {
        self.path.join("home")
    }

    /// For `TMPDIR`.
    #[must_use]
    pub fn tmp_dir(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// For `AWS_SHARED_CREDENTIALS_FILE`: empty.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.path.join("credentials")
    }

    /// For `AWS_CONFIG_FILE`: a default profile and a region.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config")
    }
}

impl Drop for SessionDir {
    fn drop(&mut self) {
        if !self.is_removed.swap(true, Ordering::AcqRel) {
            // What stays is found by the next start.
            let _removed = remove_dir_tree(&self.path);
        }
    }
}

/// The mode is set twice: the first keeps others out from the start, the second gives back what the umask took.
fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_DIR_MODE).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_DIR_MODE))
}

fn create_private_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE_MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(PRIVATE_FILE_MODE))?;
    file.write_all(text.as_bytes())
}
