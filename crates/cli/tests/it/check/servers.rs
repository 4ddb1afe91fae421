//! Errors in the `mcpServers` file, and in both files at once.

use super::assert_refused;
use crate::program_fixture::ProgramFixture;

const SERVERS: &str = r#"{
  "mcpServers": {
    "sound": {"command": "true", "env": {"command": "x"}},
    "none": "canary",
    "nothing": {"args": ["canary"]},
    "remote": {
      "type": "http",
      "url": "http://canary.example"
    },
    "typed": {"command": ["canary"]},
    "blank": {"command": "  "},
    "words": {"command": "true", "args": "canary"},
    "numbers": {"command": "true",
      "args": ["canary", 5]},
    "unset": {
      "command": "true",
      "env": {
        "SOUND": "canary",
        "FROM.HERE": "canary${NOT_SET_ANYWHERE}"
      }
    },
    "open": {"command": "true", "cwd": "canary${HOME"}
  }
}"#;

#[tokio::test]
async fn check_invalid_servers_report_line_and_remedy() {
    let output =
        ProgramFixture::new().file("mcp.json", SERVERS).run(&["check", "--mcp-config", "mcp.json"]).await;
    assert_refused(&output);
    let wanted = [
        (4, "server `none`: `server` must be an object with a `command` or a `url`"),
        (5, "server `nothing`: `command` is missing; name the program"),
        (8, "server `remote`: `url` must be an `https` URL"),
        (10, "server `typed`: `command` must be a string"),
        (11, "server `blank`: `command` must not be empty"),
        (12, "server `words`: `args` must be an array of strings"),
        (14, "server `numbers`: `args` must be a string"),
        (
            19,
            "server `unset`: `env.FROM.HERE` needs the environment variable `NOT_SET_ANYWHERE`, which is not set",
        ),
        (22, "server `open`: `cwd` has a `${` without its `}`"),
    ];
    for (line, words) in wanted {
        let expected = format!("error: mcp.json:{line}: {words}");
        assert!(output.stderr.contains(&expected), "{expected}\n{}", output.stderr);
    }
    assert_eq!(output.stderr.lines().count(), wanted.len(), "{}", output.stderr);
}

#[tokio::test]
async fn check_json_with_comments_reports_file_lines() {
    let file = "{\n  // servers\n  \"servers\": {\n    /* a\n    comment */\n    \"bad\": {\"args\": [],},\n  },\n}\n";
    let output =
        ProgramFixture::new().file("mcp.json", file).run(&["check", "--mcp-config", "mcp.json"]).await;
    assert_refused(&output);
    assert!(
        output.stderr.contains("error: mcp.json:6: server `bad`: `command` is missing"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn check_both_files_invalid_reports_all_errors() {
    let output = ProgramFixture::new()
        .file("mcp.json", r#"{"servers": {"broken": {}, "sound": {"command": "true"}}}"#)
        .file(
            "valetkey.toml",
            "[session]\nregion = 'canary!'\n[servers.broken]\naccount = 'dev'\n[servers.sound]\naccount = 'dev'\n\
             [servers.elsewhere]\ncredentials = 'env'\n[accounts.dev]\nprovider = 'canary'\n",
        )
        .run(&["check", "--mcp-config", "mcp.json"])
        .await;
    assert_refused(&output);
    let wanted = [
        "valetkey.toml:2: [session] `region`",
        "valetkey.toml:7: [servers.elsewhere] is not a server of the `mcpServers` file",
        "valetkey.toml:10: [accounts.dev] `provider`",
        "mcp.json:1: server `broken`: `command` is missing",
    ];
    for words in wanted {
        assert!(output.stderr.contains(words), "{words}\n{}", output.stderr);
    }
    // A server may refer to an account that exists but is invalid.
    assert_eq!(output.stderr.lines().count(), wanted.len(), "{}", output.stderr);
}

#[tokio::test]
async fn check_unknown_server_key_warns_with_line() {
    let output = ProgramFixture::new()
        .file(
            "mcp.json",
            "{\"mcpServers\": {\"a\": {\"command\": \"true\",\n\"alwaysAllow\": [\"canary\"]}}}",
        )
        .run(&["check", "--mcp-config", "mcp.json"])
        .await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(
        output.stderr.contains("mcp.json:2: server `a`: `alwaysAllow` is about the client"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("canary"), "{}", output.stderr);
}

#[tokio::test]
async fn check_settings_of_disabled_server_pass() {
    let output = ProgramFixture::new()
        .file("mcp.json", r#"{"mcpServers": {"off": {"command": "true", "disabled": true}}}"#)
        .file("valetkey.toml", "[servers.off]\ncredentials = 'env'\n")
        .run(&["check", "--mcp-config", "mcp.json"])
        .await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}
