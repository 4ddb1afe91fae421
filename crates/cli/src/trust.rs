//! `valetkey trust`, and the store of its decisions: which version of which discovered settings file may be used.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sha2::{Digest, Sha256};

use crate::arguments::TrustArgs;
use crate::error::CliError;
use crate::files::{self, AllowedWriters};
use crate::output::print_lines;
use crate::serve::config_error;
use crate::settings::{DEFAULT_FILE, Settings, discovered_file};

/// The decision of the user on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// No decision.
    None,
    /// This version is trusted.
    Trusted,
    /// Another version is trusted.
    Changed,
}

/// A folder with one file per decision, named after the path of the settings file. Each contains the digest of the
/// trusted version.
#[derive(Debug)]
pub(crate) struct TrustStore {
    folder: PathBuf,
}

impl TrustStore {
    /// Returns the store of this user: below `$XDG_STATE_HOME`, or else `~/.local/state`. `None` without either.
    pub(crate) fn for_user() -> Option<Self> {
        let state = files::absolute_dir("XDG_STATE_HOME")
            .or_else(|| Some(files::absolute_dir("HOME")?.join(".local/state")))?;
        Some(Self { folder: state.join("valetkey/trust") })
    }

    /// Returns the decision on a file with this content. A decision that other users can change is ignored.
    pub(crate) fn decision(&self, path: &Path, content: &str) -> Decision {
        let remembered = self.entry_path(path).map_err(|error| error.to_string());
        match remembered.and_then(|entry| files::read_text(&entry, AllowedWriters::UserOnly)) {
            Ok(text) if text.lines().next() == Some(&sha256_hex(content.as_bytes())) => Decision::Trusted,
            Ok(_) => Decision::Changed,
            Err(_) => Decision::None,
        }
    }

    /// Trusts the file as long as it has this content. An interrupted write trusts nothing.
    pub(crate) fn trust(&self, path: &Path, content: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(self.entry_path(path)?)?;
        // The path is for people who inspect the folder.
        writeln!(file, "{}\n{}", sha256_hex(content.as_bytes()), path.canonicalize()?.display())
    }

    /// Removes the decision on this file. Returns whether there was one.
    fn revoke(&self, path: &Path) -> io::Result<bool> {
        match fs::remove_file(self.entry_path(path)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    fn entry_path(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(self.folder.join(sha256_hex(canonical_path(path)?.as_os_str().as_bytes())))
    }
}

/// Returns the canonical path of a file. A deleted file keeps its path, so that its decision can be removed.
fn canonical_path(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize().or_else(|_gone| {
        let absolute = std::path::absolute(path)?;
        let (folder, name) = absolute.parent().zip(absolute.file_name()).ok_or(io::ErrorKind::NotFound)?;
        Ok(folder.canonicalize()?.join(name))
    })
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(crate) fn run(command: &TrustArgs) -> Result<ExitCode, CliError> {
    let found = command.file.clone().or_else(discovered_file);
    let path = found.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    let store = TrustStore::for_user()
        .ok_or_else(|| CliError::failed("there is no folder for decisions; set HOME or XDG_STATE_HOME"))?;
    let store_error = |error: io::Error| CliError::failed(format!("the decision cannot be stored: {error}"));
    let name = path.display();
    if command.revoke {
        let existed = store.revoke(path).map_err(store_error)?;
        let decided = if existed { "no longer trusted" } else { "was not trusted" };
        print_lines([format!("{name}: {decided}")])?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut diagnostics = Vec::new();
    let read = Settings::read_discovered(path, &mut diagnostics);
    let Some((settings, text)) = read.filter(|_| diagnostics.is_empty()) else {
        return Err(config_error(&diagnostics));
    };
    store.trust(path, &text).map_err(store_error)?;
    print_lines([format!("{name}: trusted until it changes; `valetkey trust --revoke` ends that")])?;
    print_lines(settings.host_effects().iter().map(|effect| format!("  it {effect}")))?;
    Ok(ExitCode::SUCCESS)
}
