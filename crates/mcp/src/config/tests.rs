//! Valid and invalid `mcpServers` files, and the errors of the latter.

use super::*;

fn var_lookup() -> VarLookup {
    VarLookup::new(|name| (name == "TOKEN").then(|| "t0k".to_owned()))
}

#[test]
fn config_top_level_keys_are_read_and_references_expanded() {
    for key in ["mcpServers", "servers"] {
        let text = format!(
            r#"{{"{key}": {{"a": {{"command": "uvx", "args": ["${{env:TOKEN}}", "${{NONE:-x}}", "${{session:region}}"],
                "env": {{"K": "v-${{TOKEN}}"}}, "cwd": "/tmp", "autoApprove": []}}}}}}"#
        );
        let config = McpConfig::parse(&text, &var_lookup()).unwrap();
        let server = &config.servers["a"];
        let variable = |variable: &str| (variable == "region").then(|| "eu-west-1".to_owned());
        let expanded = |text: &String| server.expand("args", text, variable).unwrap();
        assert_eq!(server.args.iter().map(expanded).collect::<Vec<_>>(), ["t0k", "x", "eu-west-1"]);
        assert_eq!(expanded(&server.env["K"]), "v-t0k");
        assert_eq!(config.warnings[0].error.field(), Some("autoApprove"));
        assert!(server.extra.contains_key("autoApprove"));
    }
}

#[test]
fn config_invalid_server_reports_field_and_keeps_others() {
    let text = r#"{"mcpServers": {
        "good": {"command": "c", "env": null, "cwd": null, "disabled": null}, "unset": {"command": "c", "env": {"K": "${hunter2}"}}, "remote": {"url": "http://x"},
        "none": {}, "args": {"command": "c", "args": "hunter2"}, "open": {"command": "${hunter2"}, "text": "hunter2"}}"#;
    let config = McpConfig::parse(text, &var_lookup()).unwrap();
    assert_eq!(config.servers.keys().collect::<Vec<_>>(), ["good"]);
    let field = |name: &str| {
        config
            .errors
            .iter()
            .find(|error| error.server == name)
            .and_then(|f| f.error.field().map(str::to_owned))
    };
    assert_eq!(field("unset").as_deref(), Some("env.K"));
    assert_eq!(field("remote").as_deref(), Some("url"), "it would not be encrypted");
    assert_eq!(field("none").as_deref(), Some("command"));
    assert_eq!(field("args").as_deref(), Some("args"));
    assert_eq!(field("open").as_deref(), Some("command"));
    assert_eq!(field("text").as_deref(), Some("server"));
}

#[test]
fn config_invalid_file_error_omits_content() {
    for text in ["", "{", "[\"hunter2\"]", "{\"mcpServers\": [\"hunter2\"]}", "{\"mcpServers\": \"hunter2"] {
        let error = McpConfig::parse(text, &var_lookup()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn config_variable_value_is_not_expanded_again() {
    let variables = VarLookup::new(|name| {
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
    let expanded = server.args.iter().map(|text| server.expand("args", text, |_| None).unwrap());
    assert_eq!(expanded.collect::<Vec<_>>(), ["a${b}c}${", "${HALF}", "${session:id}"]);
    assert!(!format!("{config:?}").contains("a${b}c"), "values may be secret");
}

#[test]
fn config_disabled_server_is_skipped_with_warning() {
    let text = r#"{"mcpServers": {"on": {"command": "c", "disabled": false}, "bad": {"command": "c", "disabled": "no"},
        "off": {"command": "${UNSET}", "disabled": true}, "remote": {"url": "http://x", "disabled": true}}}"#;
    let config = McpConfig::parse(text, &var_lookup()).unwrap();
    assert_eq!(config.servers.keys().collect::<Vec<_>>(), ["on"]);
    let servers_and_fields = |errors: &[ConfigError]| {
        let server_and_field =
            |error: &ConfigError| (error.server.clone(), error.error.field().map(str::to_owned));
        errors.iter().map(server_and_field).collect::<Vec<_>>()
    };
    let disabled_field = |server: &str| (server.to_owned(), Some("disabled".to_owned()));
    assert_eq!(servers_and_fields(&config.errors), [disabled_field("bad")]);
    assert_eq!(servers_and_fields(&config.warnings), [disabled_field("off"), disabled_field("remote")]);
}

fn parse(text: &str) -> McpConfig {
    let home = |name: &str| (name == "HOME").then(|| "/srv/me".to_owned());
    McpConfig::parse(text, &VarLookup::new(home)).unwrap()
}

fn single_server(config: &McpConfig) -> &ServerConfig {
    assert_eq!(config.errors.len(), 0, "{:?}", config.errors);
    config.servers.values().next().unwrap()
}

#[test]
fn config_with_comments_and_trailing_commas_is_read() {
    let text = "{\n\t\"servers\": {\n\t\t\"pw\": {\n\t\t\t\"type\": \"stdio\",\n\t\t\t\"command\": \"npm\",\n\
                \t\t\t// see the readme\n\t\t\t\"args\": [\"run\", \"start\",],\n\t\t}\n\t},\n\t\"inputs\": []\n}\n";
    assert_eq!(single_server(&parse(text)).args, ["run", "start"]);
    let error = McpConfig::parse("{\n// x\n\"a\": }", &var_lookup()).unwrap_err();
    assert!(error.to_string().contains("line 3 column 6"), "{error}");
}

#[test]
fn config_client_layouts_are_read() {
    for text in [
        r#"{"ctx": {"command": "npx", "args": ["-y", "x"]}}"#,
        r#"{"mcp": {"servers": {"ctx": {"command": "npx", "args": ["-y", "x"]}}}}"#,
        "\u{feff}{\"mcpServers\": {\"ctx\": {\"command\": \"npx\", \"args\": [\"-y\", \"x\"]}}}",
    ] {
        assert_eq!(single_server(&parse(text)).args, ["-y", "x"], "{text}");
    }
    assert!(McpConfig::parse(r#"{"theme": "dark"}"#, &var_lookup()).is_err());
    let long = format!(r#"{{"mcpServers": {{"{}": {{"command": "c"}}}}}}"#, "サーバー".repeat(20));
    single_server(&parse(&long));
}

#[test]
fn config_default_with_references_is_expanded() {
    let text = r#"{"s": {"command": "c", "args": ["${A:-${HOME}/x}:/y:ro", "${A:-${B:-z}}", "$${A}", "${A:-${session:id}}"]}}"#;
    let config = parse(text);
    let server = single_server(&config);
    let variable = |variable: &str| Some(variable.to_uppercase());
    let expanded = server.args.iter().map(|arg| server.expand("args", arg, variable).unwrap());
    assert_eq!(expanded.collect::<Vec<_>>(), ["/srv/me/x:/y:ro", "z", "${A}", "ID"]);
}

#[test]
fn config_tool_limits_and_timeout_are_applied() {
    let text = r#"{"s": {"command": "c", "disabledTools": ["a"], "includeTools": ["a", "b", "c"],
        "tools": ["b", "a"], "excludeTools": ["d"], "timeout": 120000}}"#;
    let config = parse(text);
    let server = single_server(&config);
    let usable: Vec<_> = ["a", "b", "c", "d"].into_iter().filter(|tool| server.tools.allows(tool)).collect();
    assert_eq!(usable, ["b"]);
    assert_eq!(server.call_timeout, Some(Duration::from_secs(120)));
    let off =
        parse(r#"{"off": {"command": "c", "enabled": false}, "on": {"command": "c", "enabled": true}}"#);
    assert_eq!(off.servers.keys().collect::<Vec<_>>(), ["on"]);
    assert_eq!(off.warnings[0].error.field(), Some("enabled"));
    assert!(single_server(&parse(r#"{"s": {"command": "c", "tools": ["*"]}}"#)).tools.allows("x"));
}

#[test]
fn config_unknown_or_malformed_limit_is_an_error() {
    for (field, value) in [
        ("disabledTools", "\"whoami\""),
        ("includeTools", "[1]"),
        ("denyList", "[]"),
        ("readOnly", "true"),
        ("blockedTools", "[]"),
        ("disable", "true"),
        ("enabled", "\"no\""),
        ("timeout", "\"1m\""),
        ("timeout", "-1"),
        ("tools", "7"),
        ("envFile", "\"${workspaceFolder}/.env\""),
    ] {
        let config = parse(&format!(r#"{{"s": {{"command": "c", "{field}": {value}}}}}"#));
        assert_eq!(config.errors[0].error.field(), Some(field), "{field}: {value}");
        assert!(config.servers.is_empty());
    }
}

#[test]
fn config_editor_reference_error_names_next_step() {
    for (reference, words) in [
        ("${input:api-token}", "`${API_TOKEN}`"),
        ("${workspaceFolder}/x", "VS Code fills in"),
        ("${config:x.y}", "VS Code fills in"),
    ] {
        let config = parse(&format!(r#"{{"s": {{"command": "c", "args": ["{reference}"]}}}}"#));
        let error = &config.errors[0].error;
        let text = format!("{error} {}", error.next_step().unwrap());
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn config_command_line_is_refused_and_tilde_expanded() {
    let config = parse(
        r#"{"line": {"command": "npx -y thing"}, "path": {"command": "/opt/My App/run"}, "home": {"command": "~/bin/x"}}"#,
    );
    assert_eq!(config.errors[0].server, "line");
    assert!(config.errors[0].error.next_step().unwrap().contains("`command` and `args`"));
    assert_eq!(config.servers["home"].command, "/srv/me/bin/x");
    assert!(config.servers.contains_key("path"));
}

#[test]
fn config_credential_variable_is_a_warning() {
    let config =
        parse(r#"{"s": {"command": "c", "env": {"AWS_PROFILE": "team-sso", "AWS_REGION": "eu-central-1"}}}"#);
    let warning = &config.warnings[0].error;
    assert_eq!(warning.field(), Some("env.AWS_PROFILE"));
    assert!(warning.next_step().unwrap().contains("provider = \"profile\""));
    assert!(!format!("{warning}").contains("team-sso"));
}
