//! The programs of the machine.

use std::{env, path::PathBuf};

/// The files with one of these names in the folders of `PATH`: by name, and for each name in the order of the folders.
pub fn programs(names: &[&str]) -> Vec<PathBuf> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.filter(|program| program.is_file()).collect()
}
