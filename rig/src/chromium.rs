//! Finds the machine's Chromium: no index that the rig installs from has one for every machine.

use std::{env, path::PathBuf};

use crate::{Error, Result};

/// The names of the program on the common distributions, and that of its branded build.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The path of Chromium on `PATH`, or [`Error::NoChromium`].
pub fn chromium() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let mut programs = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    programs.find(|program| program.is_file()).ok_or(Error::NoChromium)
}
