//! Finds the machine's Chromium: no index that the rig installs from has one for every machine.

use std::path::PathBuf;

use crate::{Error, Result, programs};

/// The names of the program on the common distributions, and that of its branded build.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The path of Chromium on `PATH`, or [`Error::NoChromium`].
pub fn chromium() -> Result<PathBuf> {
    programs(&NAMES).into_iter().next().ok_or(Error::NoChromium)
}
