//! Package runners whose `HOME` is the session's find the configuration of the user.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionHome};
use valetkey_rig::{Result, Venv, program};

use super::output;

const NPM: &str = "https://npm.corp.example/";
const PIP: &str = "https://pypi.corp.example/simple";

/// A user's home with a registry of their own for npm and pip.
fn user() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".npmrc"), format!("registry={NPM}\n")).unwrap();
    fs::create_dir_all(home.path().join(".config/pip")).unwrap();
    fs::write(home.path().join(".config/pip/pip.conf"), format!("[global]\nindex-url = {PIP}\n")).unwrap();
    home
}

fn host(home: &Path, more: &[(&str, &str)]) -> HostEnvironment {
    let node = Venv::Node.path().join("bin");
    let path = format!("{}:{}", node.display(), std::env::var("PATH").unwrap());
    let own = [("HOME", home.to_str().unwrap()), ("PATH", path.as_str())];
    HostEnvironment::new(own.iter().chain(more).map(|(name, value)| (name.into(), value.into())))
}

/// Which registry npm uses, and what pip has read.
async fn registries(environment: impl Fn() -> ChildEnvironment) -> Result<(String, String)> {
    let (npm, pip) = (Venv::Node.program("npm")?, program("pip")?);
    let npm = [npm.to_str().unwrap(), "config", "get", "registry"].map(str::to_owned);
    let pip = [pip.to_str().unwrap(), "config", "list"].map(str::to_owned);
    Ok(tokio::join!(output(environment(), &npm), output(environment(), &pip)))
}

#[tokio::test]
async fn package_runner_in_either_home_uses_its_users_registry() -> Result<()> {
    let (user, home) = (user(), SessionHome::create(None).unwrap());
    let plain = || ChildEnvironment::new(&host(user.path(), &[]), []).shut(&home);
    for (npm, pip) in
        [registries(|| plain().at_home(&home)).await?, registries(|| plain().in_tmp(&home)).await?]
    {
        assert_eq!(npm.trim(), NPM);
        assert!(pip.contains(&format!("global.index-url='{PIP}'")), "{pip}");
    }
    Ok(())
}

#[tokio::test]
async fn package_runner_with_its_own_variable_keeps_it() -> Result<()> {
    let (user, home, other) = (user(), SessionHome::create(None).unwrap(), tempfile::tempdir().unwrap());
    let npmrc = other.path().join("npmrc");
    fs::write(&npmrc, "registry=https://other.example/\n").unwrap();
    for name in ["npm_config_userconfig", "NPM_CONFIG_USERCONFIG"] {
        let host = host(user.path(), &[(name, npmrc.to_str().unwrap())]);
        let environment = || ChildEnvironment::new(&host, []).shut(&home).at_home(&home);
        assert_eq!(registries(environment).await?.0.trim(), "https://other.example/", "{name}");
    }
    Ok(())
}
