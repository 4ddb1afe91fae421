//! Finds the settings file and checks the consent that a discovered file needs.

use std::io;
use std::path::{Path, PathBuf};

use valetkey::escape_control_chars;

use super::{Diagnostic, Settings};
use crate::files::{self, AllowedWriters};
use crate::terminal::Terminal;
use crate::trust::{Decision, TrustStore};

/// The file that is used if none is named.
pub(crate) const DEFAULT_FILE: &str = "valetkey.toml";
/// The environment variable that names the file if `--config` does not.
const CONFIG_ENV_VAR: &str = "VALETKEY_CONFIG";

/// How a command treats a discovered settings file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Consent<'a> {
    /// The command uses nothing that the file names, so no consent is needed.
    NotNeeded,
    /// The file must be trusted.
    Required,
    /// The file must be trusted, and the user of this terminal can decide now.
    Prompt(&'a Terminal),
}

/// A settings file to read.
struct SettingsFile {
    path: PathBuf,
    writers: AllowedWriters,
}

impl SettingsFile {
    /// Returns the named file, or else the one that is found.
    fn locate(named: Option<&Path>) -> Option<Self> {
        let variable =
            || std::env::var_os(CONFIG_ENV_VAR).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = named.map(Path::to_owned).or_else(variable) {
            return Some(Self { path, writers: AllowedWriters::OwnerAndGroup });
        }
        discovered_file().map(|path| Self { path, writers: AllowedWriters::UserOnly })
    }

    fn is_discovered(&self) -> bool {
        self.writers == AllowedWriters::UserOnly
    }
}

/// Returns the first file that exists: in the working directory, in a folder above it up to the root of its repository,
/// or in the user's folder for configurations.
pub(crate) fn discovered_file() -> Option<PathBuf> {
    // Outside a repository, a folder above may be shared with other users.
    let here = std::env::current_dir().unwrap_or_default();
    let root = here.ancestors().position(|folder| folder.join(".git").symlink_metadata().is_ok());
    let above = here.ancestors().take(root.map_or(0, |root| root + 1)).skip(1);
    let user =
        files::absolute_dir("XDG_CONFIG_HOME").or_else(|| Some(files::absolute_dir("HOME")?.join(".config")));
    let user = user.map(|folder| folder.join("valetkey"));
    let folders = std::iter::once(PathBuf::new()).chain(above.map(Path::to_owned)).chain(user);
    folders.map(|folder| folder.join(DEFAULT_FILE)).find(|path| match path.symlink_metadata() {
        Ok(_) => true,
        // A file that cannot be examined is reported, and not skipped for another one.
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    })
}

impl Settings {
    /// Returns the path of the file that [`read`](Self::read) reads, if there is one.
    pub(crate) fn locate_file(named: Option<&Path>) -> Option<PathBuf> {
        SettingsFile::locate(named).map(|file| file.path)
    }

    /// Reads the file that `file` or the environment names, or the one that is found, and reports every error in it. The settings are empty if there is no file, or if the file lacks the consent that it needs.
    pub(crate) async fn read(
        file: Option<&Path>,
        consent: Consent<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let Some(source) = SettingsFile::locate(file) else { return Self::default() };
        let (path, found) = (source.path.as_path(), source.is_discovered());
        tracing::info!(file = %path.display(), found, "settings");
        let Some((settings, text)) = Self::read_file(path, source.writers, diagnostics) else {
            return Self::default();
        };
        match settings.check_consent(path, &text, consent).await {
            Err(what) if found => {
                diagnostics.push(Diagnostic::in_file(path, what));
                Self::default()
            }
            _ => settings,
        }
    }

    /// Reads a file and its text under the rules for discovered files, without consent to what it names.
    pub(crate) fn read_discovered(path: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<(Self, String)> {
        Self::read_file(path, AllowedWriters::UserOnly, diagnostics)
    }

    fn read_file(
        path: &Path,
        writers: AllowedWriters,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(Self, String)> {
        let text = files::read_text(path, writers);
        let text = text.map_err(|what| diagnostics.push(Diagnostic::in_file(path, what))).ok()?;
        Some((Self::parse(path, &text, diagnostics), text))
    }

    /// Checks whether a discovered file may be used: it names nothing that needs consent, or the user trusts this
    /// version of it.
    async fn check_consent(&self, path: &Path, text: &str, consent: Consent<'_>) -> Result<(), String> {
        let effects = self.host_effects();
        let decision = TrustStore::for_user().map_or(Decision::None, |store| store.decision(path, text));
        if effects.is_empty() || decision == Decision::Trusted || matches!(consent, Consent::NotNeeded) {
            return Ok(());
        }
        let status = match decision {
            Decision::Changed => "has changed since it was trusted",
            _ if path == Path::new(DEFAULT_FILE) => "was found in this folder and is not trusted",
            _ => "was found and is not trusted",
        };
        let effects = effects.join("; it ");
        if let Consent::Prompt(terminal) = consent
            && terminal.confirm(consent_prompt(path, status, &effects)).await
        {
            return store_trust(path, text);
        }
        let path = path.display();
        Err(format!(
            "{status}: it {effects}; name it with `--config {path}`, or trust this version of it with `valetkey trust`"
        ))
    }
}

fn consent_prompt(path: &Path, status: &str, effects: &str) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let statement = format!("{} {status}: it {effects}.", path.display());
    format!("{}\nTrust this version of it? [y/N] ", escape_control_chars(&statement))
}

fn store_trust(path: &Path, text: &str) -> Result<(), String> {
    let store = TrustStore::for_user().ok_or("cannot be trusted: set HOME or XDG_STATE_HOME")?;
    store.trust(path, text).map_err(|error| format!("cannot be trusted: {error}; name it with `--config`"))
}
