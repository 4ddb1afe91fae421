//! `valetkey trust`, and the decisions that it remembers: which version of which settings file may be used where it was
//! found.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sha2::{Digest, Sha256};

use valetkey::escape_control_chars;

use crate::arguments::TrustArgs;
use crate::failure::CliError;
use crate::files::{self, AllowedWriters};
use crate::serve::config_error;
use crate::settings::{DEFAULT_FILE, Settings};

/// What the user decided about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing yet.
    None,
    /// To trust it as it is.
    Trusted,
    /// To trust another version of it.
    Changed,
}

/// Decisions, one file each, named after the path of the settings file. It holds the digest of the trusted version.
#[derive(Debug)]
pub(crate) struct TrustStore {
    folder: PathBuf,
}

impl TrustStore {
    /// The store of this user: below `$XDG_STATE_HOME`, or else `~/.local/state`. `None` without either.
    pub(crate) fn for_user() -> Option<Self> {
        let absolute_dir = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state =
            absolute_dir("XDG_STATE_HOME").or_else(|| Some(absolute_dir("HOME")?.join(".local/state")))?;
        Some(Self { folder: state.join("valetkey/trust") })
    }

    /// The decision about a file with this content. A store that others can change holds none.
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
        // The path is for people who look into the folder.
        writeln!(file, "{}\n{}", sha256_hex(content.as_bytes()), path.canonicalize()?.display())
    }

    /// Forgets the decision on this file. Returns whether there was one.
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

/// The one path of a file. A file that is gone keeps its path, so that its decision can be forgotten.
fn canonical_path(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize().or_else(|_gone| {
        let absolute = std::path::absolute(path)?;
        let (folder, name) = absolute.parent().zip(absolute.file_name()).ok_or(io::ErrorKind::NotFound)?;
        Ok(folder.canonicalize()?.join(name))
    })
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(clippy::print_stdout, reason = "what was decided is the output of this command")]
pub(crate) fn run(command: &TrustArgs) -> Result<ExitCode, CliError> {
    let path = command.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    let store = TrustStore::for_user()
        .ok_or_else(|| CliError::failed("there is no folder for decisions; set HOME or XDG_STATE_HOME"))?;
    let store_error = |error: io::Error| CliError::failed(format!("the decision cannot be stored: {error}"));
    let path_text = path.display().to_string();
    let name = escape_control_chars(&path_text);
    if command.revoke {
        let existed = store.revoke(path).map_err(store_error)?;
        println!("{name}: {}", if existed { "no longer trusted" } else { "was not trusted" });
        return Ok(ExitCode::SUCCESS);
    }
    let mut faults = Vec::new();
    let read = Settings::read_discovered(path, &mut faults);
    let Some((settings, text)) = read.filter(|_| faults.is_empty()) else {
        return Err(config_error(&faults));
    };
    store.trust(path, &text).map_err(store_error)?;
    println!("{name}: trusted until it changes; `valetkey trust --revoke` ends that");
    settings.host_effects().iter().for_each(|effect| println!("  it {}", escape_control_chars(effect)));
    Ok(ExitCode::SUCCESS)
}
