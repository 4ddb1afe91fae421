//! What the `mcpServers` file may hold, and what it is told when it may not.

use super::*;

fn variables() -> Variables {
    Variables::new(|name| (name == "TOKEN").then(|| "t0k".to_owned()))
}

#[test]
fn both_spellings_of_the_file_are_read_and_variables_are_replaced() {
    for key in ["mcpServers", "servers"] {
        let text = format!(
            r#"{{"{key}": {{"a": {{"command": "uvx", "args": ["${{env:TOKEN}}", "${{NONE:-x}}", "${{session:region}}"],
                "env": {{"K": "v-${{TOKEN}}"}}, "cwd": "/tmp", "autoApprove": []}}}}}}"#
        );
        let config = McpConfig::parse(&text, &variables()).unwrap();
        let server = &config.servers["a"];
        assert_eq!(server.args, ["t0k", "x", "${session:region}"]);
        assert_eq!(server.env["K"], "v-t0k");
        assert_eq!(config.warnings[0].error.field(), Some("autoApprove"));
        assert!(server.extra.contains_key("autoApprove"));
    }
}

#[test]
fn one_broken_server_does_not_hide_the_others_and_is_told_by_field() {
    let text = r#"{"mcpServers": {
        "good": {"command": "c"}, "unset": {"command": "c", "env": {"K": "${hunter2}"}}, "remote": {"url": "http://x"},
        "none": {}, "args": {"command": "c", "args": "hunter2"}, "open": {"command": "${hunter2"}, "text": "hunter2"}}"#;
    let config = McpConfig::parse(text, &variables()).unwrap();
    assert_eq!(config.servers.keys().collect::<Vec<_>>(), ["good"]);
    let field = |name: &str| {
        config
            .faults
            .iter()
            .find(|fault| fault.server == name)
            .and_then(|f| f.error.field().map(str::to_owned))
    };
    assert_eq!(field("unset").as_deref(), Some("env.K"));
    assert_eq!(field("remote").as_deref(), Some("url"));
    assert_eq!(field("none").as_deref(), Some("command"));
    assert_eq!(field("args").as_deref(), Some("args"));
    assert_eq!(field("open").as_deref(), Some("command"));
    assert_eq!(field("text").as_deref(), Some("server"));
}

#[test]
fn what_is_not_a_server_file_is_refused_without_an_echo() {
    for text in ["", "{", "[\"hunter2\"]", "{\"mcpServers\": [\"hunter2\"]}", "{\"mcpServers\": \"hunter2"] {
        let error = McpConfig::parse(text, &variables()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
