//! Package runners and Docker whose `HOME` is the session's find the configuration of the user, and no AWS keys.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionDir};
use valetkey_rig::{Result, Venv, docker, packages, program};

use super::listener_fixture::{ListenerFixture, NOT_FOUND};
use super::{run, run_to_output};

const NPM: &str = "https://npm.corp.example/";
const PIP: &str = "https://pypi.corp.example/simple";

/// Creates a user's home folder that configures private registries for npm and pip.
fn user_home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".npmrc"), format!("registry={NPM}\n")).unwrap();
    fs::create_dir_all(home.path().join(".config/pip")).unwrap();
    fs::write(home.path().join(".config/pip/pip.conf"), format!("[global]\nindex-url = {PIP}\n")).unwrap();
    home
}

fn host_environment(home: &Path, more: &[(&str, &str)]) -> HostEnvironment {
    let node = Venv::Node.path().join("bin");
    let path = format!("{}:{}", node.display(), std::env::var("PATH").unwrap());
    let own = [("HOME", home.to_str().unwrap()), ("PATH", path.as_str())];
    HostEnvironment::new(own.iter().chain(more).map(|(name, value)| (name.into(), value.into())))
}

/// Returns the environment of a child with the session's home, and of one with the user's.
fn either_home(host: &HostEnvironment, home: &SessionDir) -> [ChildEnvironment; 2] {
    let plain = || ChildEnvironment::new(host, []).isolate(home);
    [plain().with_home(home), plain().with_tmp_dir(home)]
}

fn session_home(host: &HostEnvironment) -> SessionDir {
    SessionDir::create(None).unwrap().with_configuration(host).unwrap()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn command(program: &Path, args: &[&str]) -> Vec<String> {
    [program.to_str().unwrap()].iter().chain(args).map(ToString::to_string).collect()
}

/// Returns the registry that npm uses, and the configuration that pip reads.
async fn registries(environment: impl Fn() -> ChildEnvironment) -> Result<(String, String)> {
    let (npm, pip) = (Venv::Node.program("npm")?, program("pip")?);
    let npm = [npm.to_str().unwrap(), "config", "get", "registry"].map(str::to_owned);
    let pip = [pip.to_str().unwrap(), "config", "list"].map(str::to_owned);
    Ok(tokio::join!(run_to_output(environment(), &npm), run_to_output(environment(), &pip)))
}

#[tokio::test]
async fn package_runner_in_either_home_uses_its_users_registry() -> Result<()> {
    let (user, home) = (user_home(), SessionDir::create(None).unwrap());
    let plain = || ChildEnvironment::new(&host_environment(user.path(), &[]), []).isolate(&home);
    for (npm, pip) in
        [registries(|| plain().with_home(&home)).await?, registries(|| plain().with_tmp_dir(&home)).await?]
    {
        assert_eq!(npm.trim(), NPM);
        assert!(pip.contains(&format!("global.index-url='{PIP}'")), "{pip}");
    }
    Ok(())
}

#[tokio::test]
async fn package_runner_own_variable_is_kept() -> Result<()> {
    let (user, home, other) = (user_home(), SessionDir::create(None).unwrap(), tempfile::tempdir().unwrap());
    let npmrc = other.path().join("npmrc");
    fs::write(&npmrc, "registry=https://other.example/\n").unwrap();
    for name in ["npm_config_userconfig", "NPM_CONFIG_USERCONFIG"] {
        let host = host_environment(user.path(), &[(name, npmrc.to_str().unwrap())]);
        let environment = || ChildEnvironment::new(&host, []).isolate(&home).with_home(&home);
        assert_eq!(registries(environment).await?.0.trim(), "https://other.example/", "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn uv_in_either_home_uses_its_users_index() -> Result<()> {
    let (user, index) = (user_home(), ListenerFixture::start(NOT_FOUND).await);
    write(&user.path().join(".config/uv/uv.toml"), &format!("index-url = \"{}/simple\"\n", index.url));
    let host = host_environment(user.path(), &[]);
    let home = session_home(&host);
    let uvx =
        command(&Venv::Node.program("uv")?, &["tool", "run", "--no-python-downloads", "valetkey-probe"]);
    for (environment, count) in either_home(&host, &home).into_iter().zip(1..) {
        let output = run(environment, &uvx).await;
        assert_eq!(
            index.requests(),
            vec!["GET /simple/valetkey-probe/ HTTP/1.1"; count],
            "{}",
            output.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn uv_in_either_home_uses_its_users_folders() -> Result<()> {
    let user = user_home();
    let pythons = user.path().join(".local/share/uv/python");
    fs::create_dir_all(&pythons).unwrap();
    let host = host_environment(user.path(), &[]);
    let home = session_home(&host);
    let uv = Venv::Node.program("uv")?;
    for (args, folder) in [(["python", "dir"], pythons), (["cache", "dir"], user.path().join(".cache/uv"))] {
        for environment in either_home(&host, &home) {
            let printed = run_to_output(environment, &command(&uv, &args)).await;
            assert_eq!(Path::new(printed.trim()), folder);
        }
    }
    Ok(())
}

fn bunfig(registry: &str) -> String {
    format!("[install]\nregistry = \"{registry}/\"\n")
}

#[tokio::test]
async fn bun_in_either_home_uses_its_users_registry() -> Result<()> {
    let (user, registry) = (user_home(), ListenerFixture::start(NOT_FOUND).await);
    write(&user.path().join(".bunfig.toml"), &bunfig(&registry.url));
    let host = host_environment(user.path(), &[]);
    let home = session_home(&host);
    let bunx = command(&packages::bun()?, &["x", "valetkey-probe"]);
    for (environment, count) in either_home(&host, &home).into_iter().zip(1..) {
        let output = run(environment, &bunx).await;
        assert_eq!(registry.requests(), vec!["GET /valetkey-probe HTTP/1.1"; count], "{}", output.stderr);
    }
    assert!(
        fs::symlink_metadata(home.home_dir().join(".bunfig.toml")).unwrap().is_symlink(),
        "it is not copied"
    );
    Ok(())
}

#[tokio::test]
async fn bun_user_configuration_applies_file_beside_it() -> Result<()> {
    let (user, registry) = (user_home(), ListenerFixture::start(NOT_FOUND).await);
    let folder = user.path().join("configuration");
    write(&user.path().join(".bunfig.toml"), &bunfig("http://127.0.0.1:9"));
    write(&folder.join(".bunfig.toml"), &bunfig(&registry.url));
    let host = host_environment(user.path(), &[("XDG_CONFIG_HOME", folder.to_str().unwrap())]);
    let home = session_home(&host);
    let [environment, _] = either_home(&host, &home);
    let output = run(environment, &command(&packages::bun()?, &["x", "valetkey-probe"])).await;
    assert_eq!(registry.requests(), ["GET /valetkey-probe HTTP/1.1"], "{}", output.stderr);
    Ok(())
}

#[tokio::test]
async fn yarn_in_either_home_uses_its_users_registry() -> Result<()> {
    let user = user_home();
    let modules = packages::node_root()?.join("node_modules");
    for (file, text, script, setting) in [
        (".yarnrc.yml", format!("npmRegistryServer: \"{NPM}\"\n"), "@yarnpkg/cli-dist", "npmRegistryServer"),
        (".yarnrc", format!("registry \"{NPM}\"\n"), "yarn", "registry"),
    ] {
        write(&user.path().join(file), &text);
        fs::remove_file(user.path().join(".npmrc")).ok();
        let host = host_environment(user.path(), &[]);
        let home = session_home(&host);
        let script = modules.join(script).join("bin/yarn.js");
        let yarn = command(&packages::node()?, &[script.to_str().unwrap(), "config", "get", setting]);
        for environment in either_home(&host, &home) {
            assert_eq!(run_to_output(environment, &yarn).await.trim(), NPM, "{file}");
        }
    }
    Ok(())
}

/// The project's test runner skips this test by its name if there is no Docker client.
#[tokio::test]
async fn docker_client_in_either_home_uses_its_users_context() -> Result<()> {
    let user = user_home();
    let folder = user.path().join(".docker");
    write(&folder.join("config.json"), r#"{"currentContext": "corp"}"#);
    // Docker names the folder of a context by the SHA-256 of the context's name.
    let context = "contexts/meta/19f4c684a3ff4f2dfa73b8d9098257cfb08e3da6b5ac7f86aa3aa36537018265/meta.json";
    let meta = r#"{"Name": "corp", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://127.0.0.1:9"}}}"#;
    write(&folder.join(context), meta);
    let host = host_environment(user.path(), &[]);
    let home = session_home(&host);
    let format = "{{.Name}} {{.Endpoints.docker.Host}}";
    let inspect = command(&docker()?, &["context", "inspect", "--format", format]);
    for environment in either_home(&host, &home) {
        assert_eq!(run_to_output(environment, &inspect).await.trim(), "corp tcp://127.0.0.1:9");
    }
    Ok(())
}

#[tokio::test]
async fn aws_cli_in_either_home_has_no_keys_of_its_user() -> Result<()> {
    let user = user_home();
    let files = "[default]\naws_access_key_id = AKIAUSER000000000001\naws_secret_access_key = of-the-user\n";
    write(&user.path().join(".aws/credentials"), files);
    write(&user.path().join(".bunfig.toml"), "");
    let variables = [("AWS_ACCESS_KEY_ID", "AKIAUSER000000000001"), ("AWS_SECRET_ACCESS_KEY", "of-the-user")];
    let host = host_environment(user.path(), &variables);
    let home = session_home(&host);
    let list = command(&program("aws")?, &["configure", "list"]);
    for environment in either_home(&host, &home) {
        let printed = run_to_output(environment, &list).await;
        for key in ["access_key", "secret_key"] {
            let line = printed.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
            assert!(line.contains("<not set>"), "{line}");
        }
    }
    let names = fs::read_dir(home.home_dir()).unwrap().flatten().map(|entry| entry.file_name());
    assert_eq!(names.collect::<Vec<_>>(), [".bunfig.toml"], "nothing of AWS is linked");
    Ok(())
}
