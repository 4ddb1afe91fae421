//! The JavaScript packages of `rig/node`, installed beside the Node.js of the rig.
//!
//! A program finds them through the variable `RIG_NODE`, whatever folder it is in itself:
//!
//! ```js
//! import { createRequire } from "node:module";
//! const require = createRequire(process.env.RIG_NODE + "/");
//! const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
//! ```

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result, Venv, error::last_lines};

/// The files that decide what is installed.
pub(crate) const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];

/// The path of the rig's `node`, or [`Error::NotBuilt`].
pub fn node() -> Result<PathBuf> {
    Venv::Node.program("node")
}

/// The value of `RIG_NODE`: the folder that holds `node_modules`, or [`Error::NotBuilt`].
pub fn node_root() -> Result<PathBuf> {
    node().map(|_node| Venv::Node.path())
}

pub(crate) fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node")
}

/// Installs exactly what the lock file names. Packages' own install scripts do not run.
pub(crate) fn install_packages(venv: Venv) -> Result<()> {
    let folder = venv.path();
    for name in MANIFESTS {
        fs::copy(source_dir().join(name), folder.join(name)).map_err(Error::io(format!("copying {name}")))?;
    }
    let binaries = folder.join("bin");
    let mut path = binaries.clone().into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let output = Command::new(binaries.join("npm"))
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .current_dir(&folder)
        .env("PATH", path)
        .output()
        .map_err(Error::io("running npm"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Npm { output: last_lines(&[output.stdout, output.stderr].concat()) })
}
