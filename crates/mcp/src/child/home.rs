//! `SessionHome`: a session's own home, temporary folder and AWS files on disk, none of which ever holds a key.

use std::fs;
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;
use valetkey_core::Region;

/// A private folder (0700), removed when dropped.
#[derive(Debug)]
pub struct SessionHome {
    folder: TempDir,
}

impl SessionHome {
    /// Makes the folder, with an empty credentials file, and a config file that holds only a default profile and the
    /// region: servers that name a profile die at start without it.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn create(region: Option<&Region>) -> io::Result<Self> {
        let made = Self { folder: tempfile::Builder::new().prefix("valetkey-").tempdir()? };
        fs::create_dir(made.home())?;
        fs::create_dir(made.tmp())?;
        fs::write(made.credentials_file(), "")?;
        let region = region.map(|region| format!("region = {region}\n")).unwrap_or_default();
        fs::write(made.config_file(), format!("[default]\n{region}"))?;
        Ok(made)
    }

    /// For `HOME`.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// For `TMPDIR`.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// For `AWS_SHARED_CREDENTIALS_FILE`: empty.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.folder.path().join("credentials")
    }

    /// For `AWS_CONFIG_FILE`: a default profile and a region.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("config")
    }
}
