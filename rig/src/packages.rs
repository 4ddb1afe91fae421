//! The JavaScript packages of `rig/node`, `rig/clients` and `rig/sdks`, installed by the Node.js of the rig.
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
const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];

/// The path of the rig's `node`, or [`Error::NotBuilt`].
pub fn node() -> Result<PathBuf> {
    Venv::Node.program("node")
}

/// The value of `RIG_NODE`: the folder that holds `node_modules`, or [`Error::NotBuilt`].
pub fn node_root() -> Result<PathBuf> {
    node().map(|_node| Venv::Node.path())
}

/// The path of the rig's `bun`, or [`Error::NotBuilt`]. Its package for the machine has the program; the one named `bun`
/// would put it in its place by an install script.
pub fn bun() -> Result<PathBuf> {
    let packages = node_root()?.join("node_modules/@oven");
    let packages = fs::read_dir(packages).map_err(|_missing| Error::NotBuilt)?;
    let mut programs = packages.flatten().map(|package| package.path().join("bin/bun"));
    programs.find(|program| program.exists()).ok_or(Error::NotBuilt)
}

/// The path of a JavaScript program in an environment with such packages, such as `mcp-inspector`, or
/// [`Error::NotBuilt`].
pub fn node_program(venv: Venv, name: &str) -> Result<PathBuf> {
    let program = venv.path().join("node_modules/.bin").join(name);
    if venv.is_built() && program.exists() { Ok(program) } else { Err(Error::NotBuilt) }
}

/// The arguments of the rig's `uv` that run the MCP server `mcp-server-time`, as `uvx` does.
pub const TIME_SERVER: [&str; 5] =
    ["tool", "run", "--no-python-downloads", "--from=mcp-server-time==2026.10.10", "mcp-server-time"];

/// The value of `UV_CACHE_DIR` for a `uv` that runs [`TIME_SERVER`] without a network.
pub fn uv_cache() -> PathBuf {
    Venv::Workflow.path().join("uv-cache")
}

/// Runs [`TIME_SERVER`] once, so that uv has what it needs.
pub(crate) fn fetch_uv_tools() -> Result<()> {
    let output = Command::new(Venv::Node.path().join("bin/uv"))
        .args(TIME_SERVER)
        .arg("--help")
        .env("UV_CACHE_DIR", uv_cache())
        .output()
        .map_err(Error::io("running uv"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Uv { output: last_lines(&[output.stdout, output.stderr].concat()) })
}

/// The files that decide what JavaScript packages an environment has; none if it has no such packages.
pub(crate) fn manifests(venv: Venv) -> Vec<PathBuf> {
    if !matches!(venv, Venv::Node | Venv::Clients | Venv::Sdks) {
        return Vec::new();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(venv.name());
    MANIFESTS.map(|name| folder.join(name)).into()
}

/// Installs exactly what the lock file names. Packages' own install scripts do not run.
pub(crate) fn install_packages(venv: Venv) -> Result<()> {
    let folder = venv.path();
    for (source, name) in manifests(venv).iter().zip(MANIFESTS) {
        fs::copy(source, folder.join(name)).map_err(Error::io(format!("copying {name}")))?;
    }
    let binaries = Venv::Node.path().join("bin");
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
