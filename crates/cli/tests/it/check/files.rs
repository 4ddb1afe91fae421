//! Files that cannot be read at all, and the command line itself.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::assert_refused;
use crate::program_fixture::ProgramFixture;

#[tokio::test]
async fn check_malformed_file_reports_line_without_content() {
    let output = ProgramFixture::new()
        .file("valetkey.toml", "[accounts.a]\nprovider = canary\n\n[accounts.b\nx = 'canary\n")
        .file("mcp.json", "{\n  \"mcpServers\": {\n    \"canary\": canary\n}}")
        .run(&["check", "--mcp-config", "mcp.json"])
        .await;
    assert_refused(&output);
    for place in [
        "valetkey.toml:2:12: is not valid TOML here: string values must be quoted",
        "valetkey.toml:4:12: is not valid TOML",
        "mcp.json:3: invalid JSON",
    ] {
        assert!(output.stderr.contains(place), "{}", output.stderr);
    }
}

#[tokio::test]
async fn check_unreadable_file_reports_remedy() {
    let fixture =
        ProgramFixture::new().file("valetkey.toml", b"region = \"canary\xff\"").file("mcp.json", b"{\xff}");
    let output = fixture.run(&["check", "--mcp-config", "mcp.json"]).await;
    assert_refused(&output);
    assert_eq!(output.stderr.matches("save it as UTF-8").count(), 2, "{}", output.stderr);

    let output = fixture.run(&["check", "--config", "none.toml", "--mcp-config", "none.json"]).await;
    assert_refused(&output);
    for name in ["none.toml: cannot be read", "none.json: cannot be read"] {
        assert!(output.stderr.contains(name), "{}", output.stderr);
    }
    assert_eq!(output.stderr.matches("name a file that is there").count(), 2, "{}", output.stderr);
}

#[tokio::test]
async fn check_json_of_wrong_shape_reports_expected_shape() {
    for text in ["[]", "{}", "5", r#"{"mcpServers": "canary"}"#] {
        let output =
            ProgramFixture::new().file("mcp.json", text).run(&["check", "--mcp-config", "mcp.json"]).await;
        assert_refused(&output);
        assert!(output.stderr.contains("`mcpServers` must be an object"), "{}", output.stderr);
    }
}

#[tokio::test]
async fn usage_error_exits_two_without_stdout() {
    let fixture = ProgramFixture::new();
    let wrong: [&[&str]; 8] = [
        &[],
        &["nonsense"],
        &["check", "--nonsense"],
        &["check", "--config"],
        &["check", "more"],
        &["adopt"],
        &["exec", "--delivery", "pigeon", "--", "true"],
        &["exec", "--env", "=value", "--", "true"],
    ];
    for args in wrong {
        let output = fixture.run(args).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{args:?} {}", output.stderr);
        assert!(
            output.stderr.contains("--help") || output.stderr.contains("Usage"),
            "{args:?} {}",
            output.stderr
        );
    }
}

#[tokio::test]
async fn help_prints_to_stdout_without_hidden_commands() {
    let fixture = ProgramFixture::new();
    let help = fixture.run(&["--help"]).await;
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for command in ["demo", "serve", "exec", "check"] {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{}", help.stdout);
    }
    assert!(!help.stdout.contains("launch") && !help.stdout.contains("demo-server"), "{}", help.stdout);
    assert_eq!(fixture.run(&["--version"]).await.code, Some(0));
}

#[tokio::test]
async fn check_missing_fields_are_all_reported() {
    let text = "[accounts.role]\nprovider = 'assume-role'\nregion = 5\n[audit]\n";
    let output = ProgramFixture::new().file("valetkey.toml", text).run(&["check"]).await;
    assert_refused(&output);
    let wanted = [
        "error: valetkey.toml:1: [accounts.role] missing field `role_arn`",
        "error: valetkey.toml:1: [accounts.role] missing field `source`",
        "error: valetkey.toml:3: [accounts.role] `region` must be a string, in quotes",
        "error: valetkey.toml:4: [audit] missing field `file`",
    ];
    assert_eq!(output.stderr.lines().collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn check_pipe_as_file_fails_without_blocking() {
    let policy = "[accounts.a]\nprovider = 'memory'\n[policies.p]\nfile = 'pipe'\n";
    let fixture = ProgramFixture::new().file("valetkey.toml", policy);
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, fixture.path("pipe"), FileType::Fifo, mode, 0).unwrap();
    for (args, words) in [
        (&["check"][..], "valetkey.toml:4: [policies.p] `file` is a pipe or a device; name a regular file"),
        (&["check", "--config", "pipe"], "error: pipe: is a pipe or a device"),
        (&["check", "--mcp-config", "pipe"], "error: pipe: is a pipe or a device"),
        (&["check", "--config", "/dev/zero"], "error: /dev/zero: is a pipe or a device"),
    ] {
        let output = fixture.run(args).await;
        assert_refused(&output);
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
}

#[tokio::test]
async fn check_world_writable_file_fails() {
    let policy = "[accounts.a]\nprovider = 'memory'\n[policies.p]\nfile = 'p.json'\n";
    let fixture =
        ProgramFixture::new().file("valetkey.toml", policy).file("mcp.json", "{}").file("p.json", "{}");
    for name in ["valetkey.toml", "mcp.json", "p.json"] {
        set_permissions(fixture.path(name), Permissions::from_mode(0o666)).unwrap();
        let output = fixture.run(&["check", "--mcp-config", "mcp.json"]).await;
        assert_refused(&output);
        assert!(output.stderr.contains("can be changed by every user of this machine"), "{}", output.stderr);
        set_permissions(fixture.path(name), Permissions::from_mode(0o644)).unwrap();
    }
}
