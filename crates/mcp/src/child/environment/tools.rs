//! The user's configuration of package runners and other tools, for children whose `HOME` is the session's.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A folder of the user, given by a variable or by its default location.
#[derive(Clone, Copy)]
enum UserDir {
    Home,
    Config,
    Data,
    /// The folder in `XDG_CONFIG_HOME` if set, otherwise the home folder.
    ConfigOrHome,
}

use UserDir::{Config, ConfigOrHome, Data, Home};

/// Variables of tools, each with its candidate files or folders, of which the first that exists is used.
const TOOL_CONFIG_VARS: &[(&str, &[(UserDir, &str)])] = &[
    ("npm_config_userconfig", &[(Home, ".npmrc")]),
    ("UV_CONFIG_FILE", &[(Config, "uv/uv.toml")]),
    ("UV_PYTHON_INSTALL_DIR", &[(Data, "uv/python")]),
    ("PIP_CONFIG_FILE", &[(Config, "pip/pip.conf"), (Home, ".pip/pip.conf")]),
    ("DOCKER_CONFIG", &[(Home, ".docker")]),
    ("GIT_CONFIG_GLOBAL", &[(Home, ".gitconfig"), (Config, "git/config")]),
    ("BUN_INSTALL", &[(Home, ".bun")]),
    ("PNPM_HOME", &[(Data, "pnpm")]),
    ("CARGO_HOME", &[(Home, ".cargo")]),
    ("RUSTUP_HOME", &[(Home, ".rustup")]),
    // Version managers: their `npx` or `python` on PATH is a shim that reads this folder.
    ("VOLTA_HOME", &[(Home, ".volta")]),
    ("NVM_DIR", &[(Home, ".nvm")]),
    ("PYENV_ROOT", &[(Home, ".pyenv")]),
    ("ASDF_DATA_DIR", &[(Home, ".asdf")]),
    ("MISE_DATA_DIR", &[(Data, "mise")]),
    ("MISE_CONFIG_DIR", &[(Config, "mise")]),
];

/// Files of tools that have no variable for them: bun, yarn, and yarn 1. The tools find them in `HOME` by name.
const LINKED: &[(&str, UserDir)] =
    &[(".bunfig.toml", ConfigOrHome), (".yarnrc.yml", Home), (".yarnrc", Home)];

/// Caches are shared, so that a server is not downloaded again for each session. A server that changes a cache
/// changes what other sessions run, but it runs as the same user and can do so without the variable too.
const CACHE_VARS: &[(&str, &str)] = &[("UV_CACHE_DIR", ".cache/uv"), ("npm_config_cache", ".npm")];

/// The variables above, which children inherit if the host has them, and the uppercase spellings that npm reads too.
pub(super) const TOOL_VARS: &[&str] = &[
    "npm_config_userconfig",
    "NPM_CONFIG_USERCONFIG",
    "npm_config_cache",
    "NPM_CONFIG_CACHE",
    "UV_CACHE_DIR",
    "UV_CONFIG_FILE",
    "UV_PYTHON_INSTALL_DIR",
    "PIP_CONFIG_FILE",
    "DOCKER_CONFIG",
    "GIT_CONFIG_GLOBAL",
    "BUN_INSTALL",
    "PNPM_HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "VOLTA_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "MISE_CONFIG_DIR",
];

/// The folders of the host's user, of which children inherit only `HOME`.
#[derive(Debug, Clone, Default)]
pub(super) struct UserDirs {
    home: Option<PathBuf>,
    config: Option<PathBuf>,
    data: Option<PathBuf>,
    config_or_home: Option<PathBuf>,
}

impl UserDirs {
    pub(super) fn new(variables: &BTreeMap<OsString, OsString>) -> Self {
        let folder = |name: &str| variables.get(OsStr::new(name)).map(PathBuf::from);
        let home = folder("HOME");
        let below = |path: &str| home.as_deref().map(|home| home.join(path));
        // The XDG specification requires relative paths to be ignored.
        let named = |name: &str| folder(name).filter(|path| path.is_absolute());
        let config = named("XDG_CONFIG_HOME");
        Self {
            config_or_home: config.clone().or_else(|| home.clone()),
            config: config.or_else(|| below(".config")),
            data: named("XDG_DATA_HOME").or_else(|| below(".local/share")),
            home,
        }
    }

    /// Sets the tools' own variables to the user's files, for files that exist and variables that are not set.
    pub(super) fn set_tool_vars(&self, variables: &mut BTreeMap<OsString, OsString>) {
        let found =
            TOOL_CONFIG_VARS.iter().filter_map(|(name, places)| Some((*name, self.first_existing(places)?)));
        let caches =
            CACHE_VARS.iter().filter_map(|(name, path)| Some((*name, self.home.as_ref()?.join(path))));
        for (name, path) in found.chain(caches) {
            // npm reads its variables in any case.
            if !variables.keys().any(|set| set.eq_ignore_ascii_case(name)) {
                variables.insert(name.into(), path.into());
            }
        }
    }

    /// Returns the existing files of the user that tools find only in `HOME`, with their names there.
    pub(super) fn linked(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let path = |name: &str, base| self.dir(base).map(|folder| folder.join(name));
        let files = LINKED.iter().filter_map(move |(name, base)| Some((*name, path(name, *base)?)));
        files.filter(|(_, path)| path.exists())
    }

    fn first_existing(&self, places: &[(UserDir, &str)]) -> Option<PathBuf> {
        places.iter().filter_map(|(base, path)| Some(self.dir(*base)?.join(path))).find(|path| path.exists())
    }

    fn dir(&self, base: UserDir) -> Option<&Path> {
        let folder = match base {
            Home => &self.home,
            Config => &self.config,
            Data => &self.data,
            ConfigOrHome => &self.config_or_home,
        };
        folder.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_vars_contain_every_config_and_cache_var() {
        let names =
            TOOL_CONFIG_VARS.iter().map(|(name, _)| *name).chain(CACHE_VARS.iter().map(|(name, _)| *name));
        for name in names {
            assert!(TOOL_VARS.contains(&name), "{name}");
        }
    }
}
