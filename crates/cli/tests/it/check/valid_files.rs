//! Valid files: `check` prints a summary and changes nothing.

use super::CANARY;
use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = r#"
[session]
default_account = "dev"
region = "eu-central-1"
principal = "user@example.com"
[accounts.keys]
provider = "environment"
[accounts.dev]
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/team/agent"
external_id = "ext-1"
duration_seconds = 900
session_name = "agent"
tags = { team = "a" }
transitive_tags = ["team"]
[accounts.chained]
provider = "assume-role"
source = "dev"
role_arn = "arn:aws:iam::222222222222:role/agent"
[accounts.kept]
provider = "secrets-manager"
source = "keys"
secret_id = "team/kept"
[accounts.given]
provider = "memory"
[servers.files]
credentials = "none"
[servers.aws]
credentials = "env"
account = "chained"
[resolver]
provider = "secrets-manager"
prefix = "valetkey/credentials/"
source = "dev"
[audit]
file = "audit.jsonl"
"#;

const SERVERS: &str = r#"{"mcpServers": {
    "files": {"command": "true", "args": ["${ROOT:-/srv}"]},
    "aws": {"type": "stdio", "command": "${SERVER}", "env": {"REGION": "${session:region}"}}
}}"#;

#[tokio::test]
async fn check_valid_files_prints_summary() {
    let fixture =
        ProgramFixture::new().file("valetkey.toml", SETTINGS).file("mcp.json", SERVERS).env("SERVER", CANARY);
    let output = fixture.run(&["check", "--mcp-config", "mcp.json"]).await;
    assert_eq!(
        (output.code, output.stdout.lines().collect::<Vec<_>>(), output.stderr.as_str()),
        (
            Some(0),
            vec![
                "no faults; accounts: 5, servers: 2",
                "server `aws`: credentials `env`; it can use `proxy`, `endpoint`, `env`, `none`",
                "server `files`: credentials `none`; it can use `proxy`, `endpoint`, `env`, `none`",
            ],
            ""
        )
    );
}

#[tokio::test]
async fn check_valid_files_changes_no_file() {
    let fixture = ProgramFixture::new().file("valetkey.toml", SETTINGS);
    assert_eq!(fixture.run(&["check"]).await.code, Some(0));
    assert_eq!(fixture.file_names(), ["valetkey.toml"]);

    let fixture = fixture.file("audit.jsonl", "kept\n");
    assert_eq!(fixture.run(&["check"]).await.code, Some(0));
    assert_eq!(std::fs::read_to_string(fixture.path("audit.jsonl")).unwrap(), "kept\n");
}

#[tokio::test]
async fn check_unwritable_audit_file_is_reported() {
    for file in [".", "nowhere/audit.jsonl"] {
        let fixture = ProgramFixture::new().file("valetkey.toml", format!("[audit]\nfile = '{file}'\n"));
        let output = fixture.run(&["check"]).await;
        assert_eq!(output.code, Some(78), "{file}");
        let expected = "valetkey.toml:2: [audit] `file` cannot be written";
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}

#[tokio::test]
async fn check_missing_program_warns_at_any_log_level() {
    let servers = r#"{"mcpServers": {"sound": {"command": "true"},
        "typo": {"command": "no-such-program", "autoapprove": []}}}"#;
    let fixture = ProgramFixture::new().file("mcp.json", servers);
    let output = fixture.run(&["--log", "error", "check", "--mcp-config", "mcp.json"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for expected in
        ["mcp.json:2: server `typo`: `command` names a program", "mcp.json:2: server `typo`: `autoapprove`"]
    {
        assert!(output.stderr.contains(&format!("warning: {expected}")), "{}", output.stderr);
    }
}
