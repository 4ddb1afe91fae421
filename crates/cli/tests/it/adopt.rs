//! `valetkey adopt`: files of many clients, with a check of what was written and the way back.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;
use valetkey::mcp::config::jsonc_to_json;

use crate::program_fixture::{CONTROL_CHARACTERS, ProgramFixture, ProgramOutput};

const CLIENT: &str = "client.json";
const CHECK: [&str; 5] = ["check", "--config", "valetkey.toml", "--mcp-config", "servers.json"];

/// Returns the names and the contents of the clients' files.
fn client_files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adopt");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn client_file(name: &str) -> Vec<u8> {
    client_files().into_iter().find(|(other, _)| other == name).unwrap().1
}

fn fixture(contents: impl AsRef<[u8]>) -> ProgramFixture {
    ProgramFixture::new().discovered_file(CLIENT, contents)
}

async fn adopt(fixture: &ProgramFixture, options: &[&str]) -> ProgramOutput {
    fixture.run(&[&["adopt", CLIENT], options].concat()).await
}

fn read(fixture: &ProgramFixture, name: &str) -> String {
    fs::read_to_string(fixture.path(name)).unwrap()
}

fn read_json(fixture: &ProgramFixture, name: &str) -> Value {
    let text = read(fixture, name);
    serde_json::from_str(&jsonc_to_json(&text)).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Returns the entry that starts valetkey, wherever the client has its servers.
fn gateway_entry(fixture: &ProgramFixture) -> Value {
    let file = read_json(fixture, CLIENT);
    let nested = ["/mcpServers", "/servers", "/mcp/servers"].into_iter().find_map(|path| file.pointer(path));
    let servers = nested.unwrap_or(&file).as_object().unwrap();
    let is_gateway = |entry: &&Value| entry["args"][0] == "serve";
    servers.values().find(is_gateway).cloned().unwrap_or_else(|| panic!("no gateway: {file}"))
}

/// Runs `check` on the written files, with the variables that the client passes to valetkey.
async fn check(fixture: ProgramFixture, name: &str) -> (ProgramFixture, ProgramOutput) {
    let entry = gateway_entry(&fixture);
    let env = entry["env"].as_object().cloned().unwrap_or_default();
    let fixture = fixture.envs(env.into_iter().map(|(name, _)| (name, "value".to_owned())));
    let output = fixture.run(&CHECK).await;
    assert_eq!(output.code, Some(0), "{name}: {}\n{}", output.stderr, read(&fixture, "servers.json"));
    (fixture, output)
}

#[tokio::test]
async fn adopt_client_files_check_and_revert() {
    let files = client_files();
    assert!(files.len() >= 25, "{}", files.len());
    for (name, contents) in files {
        let fixture = fixture(&contents);
        let preview = adopt(&fixture, &["--dry-run"]).await;
        assert_eq!(
            (preview.code, fixture.file_names()),
            (Some(0), vec![CLIENT.to_owned()]),
            "{name}: {preview:?}"
        );
        let adopted = adopt(&fixture, &[]).await;
        assert_eq!((adopted.code, adopted.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(!adopted.combined_output().contains("canary"), "{name}: {}", adopted.stdout);
        let (fixture, _) = check(fixture, &name).await;

        let before = read(&fixture, CLIENT);
        let again = adopt(&fixture, &[]).await;
        assert_eq!((again.code, again.stdout.lines().next()), (Some(0), Some("nothing to adopt")), "{name}");
        assert_eq!(read(&fixture, CLIENT), before, "{name}");

        let reverted = adopt(&fixture, &["--revert"]).await;
        assert_eq!((reverted.code, reverted.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(!reverted.combined_output().contains("canary"), "{name}: {}", reverted.stdout);
        assert_eq!(fs::read(fixture.path(CLIENT)).unwrap(), contents, "{name}");
        assert_eq!(fixture.file_names(), [CLIENT], "{name}");
    }
}

#[tokio::test]
async fn adopt_gives_servers_accounts_or_none() {
    for (name, settings) in [
        (
            "claude-code-project.json",
            "[accounts.team-dev]\nname = \"team-dev\"\nprovider = \"profile\"\nregion = \"eu-central-1\"\n\n\
             [servers.aws-api]\naccount = \"team-dev\"\ncredentials = \"proxy\"\n\n[servers.filesystem]\ncredentials = \"none\"\n",
        ),
        (
            "claude-code-plugin.json",
            "[accounts.default]\nprovider = \"default-chain\"\n\n[servers.aws-mcp]\naccount",
        ),
        (
            "cursor-project.json",
            "[session]\ndefault_account = \"team-dev\"\n\n[accounts.team-dev]\nname = \"team-dev\"\nprovider = \
             \"profile\"\nregion = \"us-east-1\"\n\n[accounts.team-dev-eu-central-1]\n",
        ),
        ("cursor-env.json", "[accounts.environment]\nprovider = \"environment\"\n"),
        ("vscode-inputs.json", "[accounts.team-dev]\nname = \"team dev\"\n"),
        ("vscode-profile-input.json", "[accounts.default]\nprovider = \"default-chain\"\n"),
        ("kiro.json", "[accounts.agents]\nname = \"agents\"\nprovider = \"profile\"\n"),
        ("docker-env.json", "[servers.iam]\naccount = \"iam-reader\"\ncredentials = \"env\"\n"),
        ("cursor-remote.json", "# If this server uses AWS, write `account = \"NAME\"`"),
        (
            "cline.json",
            "[servers.\"awslabs.cloudwatch-mcp-server\"]\naccount = \"ops\"\ncredentials = \"proxy\"\n",
        ),
        // It signs its requests itself, and does not send them to the endpoint of an SDK.
        ("kiro.json", "[servers.aws-mcp]\naccount = \"agents\"\n\n[servers.fetch]"),
    ] {
        let fixture = fixture(client_file(name));
        assert_eq!(adopt(&fixture, &[]).await.code, Some(0), "{name}");
        let text = read(&fixture, "valetkey.toml");
        assert!(text.starts_with("# Written by `valetkey adopt` from client.json.\n"), "{text}");
        assert!(text.contains(settings), "{name}: {text}");
    }
}

#[tokio::test]
async fn adopt_keeps_entries_but_what_accounts_replace() {
    let fixture = fixture(client_file("vscode-inputs.json"));
    adopt(&fixture, &[]).await;
    let servers = read_json(&fixture, "servers.json");
    let ecs = &servers["mcpServers"]["ecs"];
    assert_eq!(ecs["env"], serde_json::json!({"FASTMCP_LOG_LEVEL": "ERROR"}));
    assert_eq!(servers["mcpServers"]["github"]["env"]["GITHUB_PERSONAL_ACCESS_TOKEN"], "${GITHUB_TOKEN}");
    let text = read(&fixture, "servers.json");
    assert!(
        text.contains("// prompted once") && text.contains("/* Runs in the team's account. */"),
        "{text}"
    );
    let entry = gateway_entry(&fixture);
    assert_eq!(entry["type"], "stdio");
    assert_eq!(entry["env"], serde_json::json!({"GITHUB_TOKEN": "${input:github-token}"}));
    let args: Vec<_> = entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let folder = fixture.path("").canonicalize().unwrap();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    assert_eq!(args, ["serve", "--mcp-config", &file("servers.json"), "--config", &file("valetkey.toml")]);
    let client = read(&fixture, CLIENT);
    assert!(client.contains("// The token is stored by the editor."), "{client}");

    let proxy = self::fixture(client_file("kiro.json"));
    adopt(&proxy, &[]).await;
    let args = &read_json(&proxy, "servers.json")["mcpServers"]["aws-mcp"]["args"];
    let kept = ["mcp-proxy-for-aws@latest", "https://aws-mcp.us-east-1.api.aws/mcp", "--region", "us-east-1"];
    assert_eq!(args, &serde_json::json!(kept));
}

#[tokio::test]
async fn adopt_leaves_servers_that_it_cannot_run() {
    for (name, left) in [
        ("claude-code-expansion.json", &["api"][..]),
        ("vscode-remote.json", &["github"]),
        ("windsurf-disabled.json", &["old"]),
        ("docker-env.json", &["mounted"]),
        ("wrapper.json", &["vaulted", "shell"]),
        ("invalid-entries.json", &["file", "limited", "line"]),
    ] {
        let fixture = fixture(client_file(name));
        let output = adopt(&fixture, &[]).await;
        let client = read_json(&fixture, CLIENT);
        let servers =
            client.pointer("/mcpServers").or(client.pointer("/servers")).unwrap().as_object().unwrap();
        let kept: Vec<_> = servers.keys().filter(|name| *name != "valetkey").collect();
        assert_eq!(kept, left, "{name}");
        for server in left {
            let words = format!("server `{server}` stays with the client: ");
            assert!(output.stdout.contains(&words), "{words}: {}", output.stdout);
        }
    }
}

#[tokio::test]
async fn adopt_static_key_names_place_and_remedy() {
    let text = r#"{
  "mcpServers": {
    "keys": {
      "command": "uvx",
      "args": ["awslabs.s3-tables-mcp-server@latest"],
      "env": {
        "AWS_ACCESS_KEY_ID": "AKIACANARYCANARY0000",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "OTHER": "x"
      }
    },
    "container": {
      "command": "docker",
      "args": ["run", "-e", "AWS_SECRET_ACCESS_KEY=canary", "awslabs/x"]
    },
    "renamed": { "command": "x", "env": { "MY_ID": "AKIACANARYCANARY0000" } }
  }
}"#;
    let fixture = fixture(text);
    let output = adopt(&fixture, &[]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""), "{}", output.stderr);
    for words in [
        "client.json:7: server `keys`: `env.AWS_ACCESS_KEY_ID` is a key",
        "client.json:8: server `keys`: `env.AWS_SECRET_ACCESS_KEY` is a key",
        "client.json:14: server `container`: `args` is a key",
        "client.json:16: server `renamed`: `env.MY_ID` is a key",
        "write `\"AWS_PROFILE\": \"NAME\"` in its place",
    ] {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
    assert!(!output.stderr.to_lowercase().contains("canary"), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 4, "{}", output.stderr);
    assert_eq!(fixture.file_names(), [CLIENT]);
    assert_eq!(read(&fixture, CLIENT), text);
}

#[tokio::test]
async fn adopt_existing_file_is_not_replaced() {
    for name in ["valetkey.toml", "servers.json", "client.json.valetkey-backup"] {
        let fixture = fixture(client_file("roo.json")).discovered_file(name, "of the user");
        let output = adopt(&fixture, &[]).await;
        assert_eq!(output.code, Some(78), "{}", output.stdout);
        assert!(
            output.stderr.contains(&format!("{name}: exists, and adopt does not replace it")),
            "{}",
            output.stderr
        );
        assert_eq!(read(&fixture, name), "of the user");
        assert_eq!(fs::read(fixture.path(CLIENT)).unwrap(), client_file("roo.json"));
        assert_eq!(fixture.file_names().len(), 2);
    }
}

#[tokio::test]
async fn revert_changed_file_keeps_later_changes() {
    let fixture = fixture(client_file("vscode-settings.json"));
    adopt(&fixture, &[]).await;
    let changed = read(&fixture, CLIENT)
        .replace("\"editor.fontSize\": 13", "\"editor.fontSize\": 14")
        .replace("\"valetkey\": {", "\"added\": {\"command\": \"added-server\"},\n      \"valetkey\": {");
    fs::write(fixture.path(CLIENT), changed).unwrap();
    let refused = adopt(&fixture, &[]).await;
    assert_eq!(refused.code, Some(78));
    assert!(refused.stderr.contains("server `valetkey`: is valetkey already"), "{}", refused.stderr);
    fs::write(fixture.path("valetkey.toml"), "# changed").unwrap();
    let reverted = adopt(&fixture, &["--revert"]).await;
    assert!(reverted.stdout.contains("valetkey.toml, because it has changed"), "{}", reverted.stdout);
    let file = read_json(&fixture, CLIENT);
    assert_eq!(file["editor.fontSize"], 14);
    let servers = file["mcp"]["servers"].as_object().unwrap();
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["time", "aws", "added"]);
    assert_eq!(fixture.file_names(), [CLIENT, "valetkey.toml"]);
}

#[tokio::test]
async fn revert_without_backup_fails() {
    let fixture = fixture(client_file("roo.json"));
    let output = adopt(&fixture, &["--revert"]).await;
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("client.json was not adopted"), "{}", output.stderr);
    assert_eq!(fixture.file_names(), [CLIENT]);
}

#[tokio::test]
async fn adopt_link_writes_to_its_target() {
    let fixture = ProgramFixture::new();
    fs::create_dir(fixture.path("dotfiles")).unwrap();
    let target = fixture.path("dotfiles/mcp.json");
    fs::write(&target, client_file("roo.json")).unwrap();
    fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
    symlink(&target, fixture.path(CLIENT)).unwrap();
    assert_eq!(adopt(&fixture, &[]).await.code, Some(0));
    assert!(fixture.path(CLIENT).symlink_metadata().unwrap().is_symlink());
    assert!(read(&fixture, "dotfiles/mcp.json").contains("--mcp-config"));
    let mode = |name: &str| fs::metadata(fixture.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("dotfiles/mcp.json"), mode("dotfiles/servers.json")), (0o640, 0o600));
    assert_eq!(adopt(&fixture, &["--revert"]).await.code, Some(0));
    assert_eq!(fs::read(&target).unwrap(), client_file("roo.json"));
}

#[tokio::test]
async fn adopt_invalid_file_fails() {
    for (text, words) in [
        ("{\"mcpServers\": {", "client.json: invalid JSON at line 1"),
        ("{\"mcpServers\": []}", "must be an object of servers by name"),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\"}, \"a\": {\"command\": \"y\"}}}",
            "server `a`: has a key twice",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"env\": {\"A\": \"\", \"A\": \"\"}}}}",
            "has a key twice",
        ),
    ] {
        let fixture = fixture(text);
        let output = adopt(&fixture, &[]).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""), "{text}: {}", output.stderr);
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
        assert_eq!(fixture.file_names(), [CLIENT]);
    }
}

#[tokio::test]
async fn adopt_output_escapes_control_characters() {
    let name = serde_json::to_string(&format!("a{CONTROL_CHARACTERS}")).unwrap();
    let fixture = fixture(format!(
        "{{\"mcpServers\": {{{name}: {{\"command\": \"x\"}}, \"b\": {{\"command\": \"y\u{202e}\"}}}}}}"
    ));
    let output = adopt(&fixture, &[]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.assert_printable();
}
