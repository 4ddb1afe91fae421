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
    /// Returns the named file, or else the file in the working directory, if it exists.
    fn locate(named: Option<&Path>) -> Option<Self> {
        let variable =
            || std::env::var_os(CONFIG_ENV_VAR).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = named.map(Path::to_owned).or_else(variable) {
            return Some(Self { path, writers: AllowedWriters::OwnerAndGroup });
        }
        match Path::new(DEFAULT_FILE).symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            _ => Some(Self { path: DEFAULT_FILE.into(), writers: AllowedWriters::UserOnly }),
        }
    }

    fn is_discovered(&self) -> bool {
        self.writers == AllowedWriters::UserOnly
    }
}

impl Settings {
    /// Returns the path of the file that [`read`](Self::read) reads, if there is one.
    pub(crate) fn locate_file(named: Option<&Path>) -> Option<PathBuf> {
        SettingsFile::locate(named).map(|file| file.path)
    }

    /// Reads the file that `file` or the environment names, or the one in the working directory, and reports every
    /// error in it. The settings are empty if there is no file, or if the file lacks the consent that it needs.
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
            _ => "was found in this folder and is not trusted",
        };
        let effects = effects.join("; it ");
        if let Consent::Prompt(terminal) = consent
            && terminal.confirm(consent_prompt(path, status, &effects)).await
        {
            return store_trust(path, text);
        }
        Err(format!(
            "{status}: it {effects}; name it with `--config {DEFAULT_FILE}`, or trust this version of it with \
             `valetkey trust`"
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
