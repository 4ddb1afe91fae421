//! `ReloadTrigger`: notices that the configuration is to be read again: on SIGHUP, or after a file has changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::arguments::ConfigArgs;
use crate::error::CliError;
use crate::settings::{Consent, DEFAULT_FILE, Diagnostic, Settings};

/// The interval at which the files are checked. A poll of two files costs less than a watcher, and also works where
/// notifications do not, such as on network file systems and for files that are replaced.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct ReloadTrigger {
    hangups: Signal,
    ticks: Interval,
    files: Vec<PathBuf>,
    /// The state of the files that were read last.
    read: Vec<FileState>,
    /// The state at the last tick, if it differed. A file that still changes is not read yet.
    changing: Option<Vec<FileState>>,
}

/// When a file was last modified, its length and its inode; `None` if there is no file.
type FileState = Option<(SystemTime, u64, u64)>;

impl ReloadTrigger {
    /// Watches the files that the arguments name, as they are now.
    pub(super) fn new(arguments: &ConfigArgs) -> Result<Self, CliError> {
        let settings = Settings::locate_file(arguments.config.as_deref());
        let files: Vec<_> = settings.into_iter().chain(arguments.mcp_config.clone()).collect();
        let hangups = signal(SignalKind::hangup())
            .map_err(|error| CliError::failed(format!("signals cannot be heard: {error}")))?;
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let read = states(&files);
        Ok(Self { hangups, ticks, files, read, changing: None })
    }

    /// Waits until the configuration is to be read again.
    pub(super) async fn wait(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.hangups.recv() => break,
                _ = self.ticks.tick() => {}
            }
            let now = states(&self.files);
            if now == self.read {
                self.changing = None;
            } else if self.changing.replace(now.clone()) == Some(now) {
                break;
            }
        }
        (self.read, self.changing) = (states(&self.files), None);
    }
}

fn states(files: &[PathBuf]) -> Vec<FileState> {
    let state = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        Some((file.modified().ok()?, file.len(), file.ino()))
    };
    files.iter().map(state).collect()
}

/// Reads the settings again. A file that is gone is an error: its limits must not be lost with it.
pub(super) async fn read_settings(
    arguments: &ConfigArgs,
    before: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> Settings {
    let settings = Settings::read(arguments.config.as_deref(), Consent::Required, diagnostics).await;
    if settings.is_absent() && !before.is_absent() && diagnostics.is_empty() {
        diagnostics.push(Diagnostic::in_file(Path::new(DEFAULT_FILE), "is gone"));
    }
    settings
}

/// Logs why a configuration was not used. The gateway keeps the one that it has.
pub(super) fn report_invalid(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        tracing::error!("{diagnostic}");
    }
    tracing::error!("the configuration was not reloaded; the earlier one stays in use");
}
