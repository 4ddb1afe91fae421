//! `SessionDir`: the home folder, temporary folder and AWS files of a session, which never contain a key.

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
/// A setting of the default profile, for programs that name a profile: botocore then ignores the keys in its environment.
/// The program that it names prints these keys.
const KEYS_OF_ENVIRONMENT: &str = concat!(
    r#"credential_process = sh -c 'printf "#,
    r#""{\"Version\":1,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"%s\",\"SessionToken\":\"%s\"}" "#,
    r#""$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"'"#,
);

/// A private folder of a session in the host's temporary folder. Its folders have the mode 0700 and its files 0600,
/// regardless of the umask.
///
/// [`remove`](Self::remove) removes it after the children have ended. Dropping it removes it too, which blocks the
/// thread. If the process is killed, the folder remains until [`remove_abandoned`](Self::remove_abandoned) finds it.
///
/// # Examples
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use valetkey_mcp::child::SessionDir;
///
/// SessionDir::remove_abandoned();
/// let directory = SessionDir::create(None)?;
/// println!("HOME={}", directory.home_dir().display());
/// directory.remove().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SessionDir {
    path: PathBuf,
    /// Locked while the folder is in use. `None` on a file system without locks, where it never counts as abandoned.
    _lock: Option<File>,
    is_removed: AtomicBool,
}

impl SessionDir {
    /// Creates the folder, with an empty credentials file and a config file that contains only a default profile and
    /// the region. Without that profile, servers that name a profile exit at start.
    ///
    /// The folder is in the host's temporary folder, has a random name, and only its owner can read it:
    ///
    /// | path | content |
    /// |---|---|
    /// | `home` | the child's `HOME` |
    /// | `tmp` | the child's `TMPDIR` |
    /// | `credentials` | an empty file for `AWS_SHARED_CREDENTIALS_FILE` |
    /// | `config` | a file for `AWS_CONFIG_FILE`: a default profile and the region |
    /// | `config-env` | the same for a child with keys in its environment: the profile refers to these keys |
    ///
    /// # Errors
    /// Returns the error of the file system. Returns `PermissionDenied` if the host's temporary folder is writable by
    /// every user and has no sticky bit, because other users could then replace its contents.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use valetkey_mcp::child::SessionDir;
    ///
    /// let directory = SessionDir::create(Some(&"eu-central-1".parse()?))?;
    /// assert_eq!(std::fs::read_to_string(directory.credentials_file())?, "");
    /// assert_eq!(std::fs::read_to_string(directory.config_file())?, "[default]\nregion = eu-central-1\n");
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn create(region: Option<&Region>) -> io::Result<Self> {
        let home = Self::create_locked(&std::env::temp_dir())?;
        create_private_dir(&home.home_dir())?;
        create_private_dir(&home.tmp_dir())?;
        create_private_file(&home.credentials_file(), "")?;
        let region = region.map(|region| format!("region = {region}\n")).unwrap_or_default();
        let profile = format!("[default]\n{region}");
        create_private_file(&home.config_file(), &profile)?;
        create_private_file(&home.env_keys_config_file(), &format!("{profile}{KEYS_OF_ENVIRONMENT}\n"))?;
        Ok(home)
    }

    /// Links configuration files that tools find only in `HOME` to those of the host's user: bun and yarn have no
    /// variable for them. The files may contain a registry token, so they are not copied.
    ///
    /// # Errors
    /// Returns the error of the file system. Continuing without the link would make a tool use the public registry
    /// instead of the user's.
    pub fn with_configuration(self, host: &HostEnvironment) -> io::Result<Self> {
        host.linked().try_for_each(|(name, path)| symlink(path, self.home_dir().join(name)))?;
        Ok(self)
    }

    /// Removes the folder and its contents, without blocking the runtime. Later calls do nothing.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::SessionDir;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let directory = SessionDir::create(None)?;
    /// directory.remove().await?;
    /// assert!(!directory.home_dir().exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the error of the file system. Remaining files are left to
    /// [`remove_abandoned`](Self::remove_abandoned).
    ///
    /// # Cancel safety
    /// Once the future has been polled, the removal continues even if the future is dropped.
    pub async fn remove(&self) -> io::Result<()> {
        if self.is_removed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || remove_dir_tree(&path)).await.map_err(io::Error::other)?
    }

    /// Returns the folder for `HOME`.
    #[must_use]
    pub fn home_dir(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Returns the folder for `TMPDIR`.
    #[must_use]
    pub fn tmp_dir(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Returns the file for `AWS_SHARED_CREDENTIALS_FILE`, which is empty.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.path.join("credentials")
    }

    /// Returns the file for `AWS_CONFIG_FILE`, with a default profile and a region.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config")
    }

    /// Returns the file for `AWS_CONFIG_FILE` of a child that has keys in its environment. Its default profile refers to
    /// these keys with a `credential_process`, which every AWS SDK supports, so that programs that name a profile find
    /// them.
    #[must_use]
    pub fn env_keys_config_file(&self) -> PathBuf {
        self.path.join("config-env")
    }
}

impl Drop for SessionDir {
    fn drop(&mut self) {
        if !self.is_removed.swap(true, Ordering::AcqRel) {
            // Remaining files are removed by `remove_abandoned` at the next start.
            let _removed = remove_dir_tree(&self.path);
        }
    }
}

/// Sets the mode twice: at creation, so that other users never have access, and afterwards, to restore the bits that
/// the umask removed.
fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_DIR_MODE).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_DIR_MODE))
}

fn create_private_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE_MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(PRIVATE_FILE_MODE))?;
    file.write_all(text.as_bytes())
}
