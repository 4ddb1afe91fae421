//! Invalid servers and files are reported on standard error and do not affect other servers.

use serde_json::json;

use super::client_fixture::{ERAS, McpClientFixture, ProtocolEra};
use super::{CALLER_IDENTITY_TOOL, demo_server_entry, mcp_config};
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::ProgramFixture;

#[tokio::test]
async fn serve_broken_server_is_logged_and_others_work() {
    let aws = AwsFixture::start().await;
    let fixture = ProgramFixture::new().file(
        "mcp.json",
        mcp_config(json!({
            "aws": demo_server_entry(aws.url()),
            "ends": {"command": "false"},
            "missing": {"command": "no-such-program"},
            "remote": {"url": "http://example.org"},
            "unset": {"command": "${NOT_SET_ANYWHERE}"},
        })),
    );
    for era in ERAS {
        let mut client = McpClientFixture::connect(&fixture, era).await;
        let tools = client.tools().await;
        assert_eq!((tools.len(), tools[10].as_str()), (11, CALLER_IDENTITY_TOOL), "{tools:?}");
        client
            .set_credentials(json!({"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "made-up"}))
            .await;
        let result = client.call(CALLER_IDENTITY_TOOL, json!({})).await;
        assert_ne!(result["isError"], true, "{result}");
        let output = client.close().await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        for server in ["ends", "missing", "remote", "unset"] {
            let is_reported =
                output.stderr.lines().any(|line| line.contains("WARN") && line.contains(server));
            assert!(is_reported, "{server}\n{}", output.stderr);
        }
        assert!(output.stderr.contains("NOT_SET_ANYWHERE"), "{}", output.stderr);
    }
}

#[tokio::test]
async fn serve_call_to_broken_server_returns_reason() {
    let fixture = ProgramFixture::new()
        .file("mcp.json", mcp_config(json!({"missing": {"command": "no-such-program"}})));
    let mut client = McpClientFixture::connect(&fixture, ProtocolEra::Modern).await;
    client
        .set_credentials(json!({"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "made-up"}))
        .await;
    let result = client.call("missing__anything", json!({})).await;
    assert_eq!(result["isError"], true, "{result}");
    assert!(result.to_string().contains("missing"), "{result}");
    assert_eq!(client.close().await.code, Some(0));
}

#[tokio::test]
async fn serve_invalid_files_exit_without_output() {
    let fixture = ProgramFixture::new()
        .file("valetkey.toml", "[session]\nregion = 'canary!'\n[servers.unknown]\ncredentials = 'env'\n")
        .file("mcp.json", "{}")
        .file("sound.json", r#"{"mcpServers": {}}"#);
    for (file, faults) in [("mcp.json", 2), ("sound.json", 2), ("none.json", 2)] {
        let output = fixture.run(&["serve", "--mcp-config", file]).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), faults, "{}", output.stderr);
        assert!(!output.stderr.contains("canary"), "{}", output.stderr);
    }
}

#[tokio::test]
async fn serve_server_settings_select_delivery_and_account() {
    let aws = AwsFixture::start().await;
    let entry = || demo_server_entry(aws.url());
    let fixture = ProgramFixture::new()
        .env("AWS_ACCESS_KEY_ID", "AKIA000000000000HOST")
        .env("AWS_SECRET_ACCESS_KEY", "made-up")
        .env("AWS_REGION", "us-east-1")
        .file("mcp.json", mcp_config(json!({"given": entry(), "kept": entry(), "none": entry()})))
        .file(
            "valetkey.toml",
            "[accounts.given]\nprovider = 'memory'\n[accounts.host]\nprovider = 'environment'\n\
             [session]\ndefault_account = 'given'\n[servers.given]\ncredentials = 'env'\n\
             [servers.kept]\naccount = 'host'\n[servers.none]\ncredentials = 'none'\n",
        );
    for era in ERAS {
        let mut client = McpClientFixture::connect(&fixture, era).await;
        client
            .set_credentials(json!({"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "made-up"}))
            .await;
        for (server, user) in [("given", "AAAA"), ("kept", "HOST")] {
            let result = client.call(&format!("{server}__get_caller_identity"), json!({})).await;
            let arn = format!("arn:aws:iam::111111111111:user/{user}");
            assert_eq!(result["structuredContent"]["arn"], arn, "{result}");
        }
        let result = client.call("none__get_caller_identity", json!({})).await;
        assert!(result["isError"] == true && !result.to_string().contains("HOST"), "{result}");
        assert_eq!(client.close().await.code, Some(0));
    }
}

/// Control characters that take over a terminal, forge a line of a log, or reorder displayed text.
const CONTROL_CHARACTERS: &str = "\x1b]0;t\x07\x1b[2J\rforged\u{9b}31m\u{202e}\u{2066}";

fn assert_no_controls(what: &str, text: &str) {
    let control = |c: &char| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{2069}').contains(c);
    assert_eq!(text.chars().find(control), None, "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{what}: {text}");
}

#[tokio::test]
async fn serve_server_prints_control_characters_are_escaped() {
    let script = "printf '%s\\nforged' \"$SAID\" >&2; exit 3";
    let named = format!("odd{CONTROL_CHARACTERS}");
    let fixture = ProgramFixture::new().env("VALETKEY_LOG", "trace").file(
        "mcp.json",
        mcp_config(json!({
            "broken": {"command": "sh", "args": ["-c", script], "env": {"SAID": CONTROL_CHARACTERS}},
            "missing": {"command": CONTROL_CHARACTERS}, named: {"command": "true"},
            "field": {"command": "true", CONTROL_CHARACTERS: true}, "unset": {"command": format!("${{{CONTROL_CHARACTERS}}}")},
        })),
    );
    let mut client = McpClientFixture::connect(&fixture, ProtocolEra::Modern).await;
    client.tools().await;
    let failed = client.call("broken__tool", json!({})).await;
    let text = failed["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains(r"\u{1b}]0;t\u{7}"), "{text}");
    assert_no_controls("the result", &text);
    client.request("tools/call", json!({"name": CONTROL_CHARACTERS, "arguments": {}})).await;
    let output = client.close().await;
    assert!(output.stderr.contains(r"\u{1b}]0;t\u{7}"), "{}", output.stderr);
    assert_no_controls("the log", &output.stderr);
}

#[tokio::test]
async fn check_control_characters_in_files_are_escaped() {
    let name = format!("odd{CONTROL_CHARACTERS}");
    let quoted = json!(name).to_string();
    let odd = mcp_config(
        json!({name: {"command": CONTROL_CHARACTERS}, "field": {"command": "true", CONTROL_CHARACTERS: 1}}),
    );
    let fixture = ProgramFixture::new()
        .file("mcp.json", odd)
        .file("valetkey.toml", format!("[accounts.{quoted}]\nprovider = {quoted}\n"));
    for arguments in [&["check", "--mcp-config", "mcp.json"][..], &["check"]] {
        let output = fixture.run(arguments).await;
        assert_ne!(output.code, Some(0));
        assert_no_controls("check", &output.combined_output());
    }
}

#[tokio::test]
async fn serve_role_without_source_keys_names_variable() {
    let fixture = ProgramFixture::new()
        .file("mcp.json", mcp_config(json!({"demo": demo_server_entry("http://127.0.0.1:1")})))
        .file(
            "valetkey.toml",
            "[session]\ndefault_account = 'prod'\n[accounts.base]\nprovider = 'environment'\n[accounts.prod]\n\
             provider = 'assume-role'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\nsource = 'base'\nregion = 'eu-central-1'\n",
        );
    let mut client = McpClientFixture::connect(&fixture, ERAS[0]).await;
    for (tool, arguments) in
        [("demo__get_caller_identity", json!({})), ("refresh_aws_credentials", json!({}))]
    {
        let result = client.call(tool, arguments).await;
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("AWS_ACCESS_KEY_ID") && text.contains("the person who configured"), "{text}");
        assert!(!text.contains("set_aws_credentials_context"), "{text}");
    }
    let keys = json!({"access_key_id": "AKIA_TEST", "secret_access_key": "made-up"});
    for account in ["prod", "base"] {
        let refused = client
            .call("set_aws_credentials_context", json!({"credentials_json": keys, "account": account}))
            .await;
        assert_eq!(refused["structuredContent"]["error"]["code"], "denied", "{refused}");
    }
    let output = client.close().await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}
