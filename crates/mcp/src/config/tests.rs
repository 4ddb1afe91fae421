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
        let fact = |fact: &str| (fact == "region").then(|| "eu-west-1".to_owned());
        let filled = |text: &String| server.fill("args", text, fact).unwrap();
        assert_eq!(server.args.iter().map(filled).collect::<Vec<_>>(), ["t0k", "x", "eu-west-1"]);
        assert_eq!(filled(&server.env["K"]), "v-t0k");
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

#[test]
fn what_a_variable_holds_is_taken_as_it_is() {
    let variables = Variables::new(|name| {
        let value = match name {
            "PW" => "a${b}c}${",
            "HALF" => "{session:id}",
            _ => return None,
        };
        Some(value.to_owned())
    });
    let text =
        r#"{"mcpServers": {"a": {"command": "c", "args": ["${PW}", "$${HALF}", "${NONE:-$}{session:id}"]}}}"#;
    let config = McpConfig::parse(text, &variables).unwrap();
    let server = &config.servers["a"];
    let filled = server.args.iter().map(|text| server.fill("args", text, |_| None).unwrap());
    assert_eq!(filled.collect::<Vec<_>>(), ["a${b}c}${", "${session:id}", "${session:id}"]);
    assert!(!format!("{config:?}").contains("a${b}c"), "values may be secret");
}

#[test]
fn a_disabled_server_is_left_out_and_told_of_whatever_else_is_wrong_with_it() {
    let text = r#"{"mcpServers": {"on": {"command": "c", "disabled": false}, "bad": {"command": "c", "disabled": "no"},
        "off": {"command": "${UNSET}", "disabled": true}, "remote": {"url": "http://x", "disabled": true}}}"#;
    let config = McpConfig::parse(text, &variables()).unwrap();
    assert_eq!(config.servers.keys().collect::<Vec<_>>(), ["on"]);
    let told = |faults: &[ConfigFault]| {
        let one = |fault: &ConfigFault| (fault.server.clone(), fault.error.field().map(str::to_owned));
        faults.iter().map(one).collect::<Vec<_>>()
    };
    let of = |server: &str| (server.to_owned(), Some("disabled".to_owned()));
    assert_eq!(told(&config.faults), [of("bad")]);
    assert_eq!(told(&config.warnings), [of("off"), of("remote")]);
}
