//! The first steps of a new user: the command line, the README, and commands in a folder without files.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use crate::aws_fixture::AwsFixture;
use crate::exec::fixture_with_keys;
use crate::program_fixture::ProgramFixture;
use crate::serve::mcp_config;

const README: &str = include_str!("../../../../README.md");
const CANARY: &str = "canary/wJalrXUtnFEMI+K7MDENG";

/// Returns the block of the README that begins with `start`.
fn readme_block(start: &str) -> &'static str {
    README
        .split("```")
        .find_map(|block| Some(block.split_once('\n')?.1).filter(|text| text.starts_with(start)))
        .unwrap()
}

/// Returns the options of a command that take a value, from its help.
async fn options(command: &str) -> BTreeSet<String> {
    let help = ProgramFixture::new().run(&[command, "--help"]).await.stdout;
    let option = |line: &str| {
        let (option, rest) = line.trim().strip_prefix("--")?.split_once(' ')?;
        rest.starts_with('<').then(|| format!("--{option}"))
    };
    help.lines().filter_map(option).collect()
}

#[tokio::test]
async fn usage_error_omits_arguments() {
    let fixture = ProgramFixture::new();
    let refused = async |args: &[&str]| {
        let output = fixture.run(args).await;
        assert_ne!(output.code, Some(0), "{args:?}");
        assert!(!output.combined_output().contains("canary"), "{args:?}: {}", output.combined_output());
        output
    };
    for command in [
        "adopt",
        "demo",
        "serve",
        "exec",
        "credential-process",
        "presign",
        "revocation-policy",
        "check",
        "list",
        "report",
        "trust",
    ] {
        let options = options(command).await;
        assert!(options.contains("--log"), "{options:?}");
        // Errors must name paths to be useful, so options with a path are skipped.
        for option in options.iter().filter(|option| !option.ends_with("config")) {
            for args in [vec![format!("{option}={CANARY}")], vec![option.clone(), CANARY.to_owned()]] {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let tail: &[&str] = if command == "exec" { &["--account", "x y"] } else { &["--nonsense"] };
                refused(&[&[command], &args[..], tail].concat()).await;
                // Also with valid remaining arguments, where the command may succeed.
                let output = fixture.run(&[&[command], &args[..]].concat()).await;
                assert!(
                    !output.combined_output().contains("canary"),
                    "{command} {args:?}: {}",
                    output.combined_output()
                );
            }
        }
        refused(&[command, &format!("--{CANARY}")]).await;
        refused(&[command, "--nonsense", CANARY]).await;
    }
    refused(&[CANARY]).await;
    let env = format!("--env==NAME={CANARY}");
    refused(&["exec", &env, "--", "true"]).await;
    refused(&["exec", "--env", &format!("NAME={CANARY}")]).await;
    refused(&["exec", "--account", "canary", "--", "true"]).await;
    let known = fixture_with_keys().file("valetkey.toml", "[accounts.a]\nprovider = 'environment'\n");
    let output = known.run(&["exec", "--account", "canary", "--", "true"]).await;
    assert_eq!(
        output.stderr,
        "error: the account of `--account` is not one of the accounts; name one of: a\n"
    );
    assert!(refused(&["sevre"]).await.stderr.contains("did you mean `serve`?"));
    assert!(refused(&["check", "--confg", "x"]).await.stderr.contains("did you mean `--config`?"));
    let delivery = refused(&["exec", "--delivery", CANARY, "--", "true"]).await;
    assert!(delivery.stderr.contains("not one of: endpoint, env"), "{}", delivery.stderr);
}

#[tokio::test]
async fn help_and_log_omit_variable_values() {
    let fixture = ProgramFixture::new().env("VALETKEY_LOG", format!("warn,{CANARY}=shout"));
    let help = fixture.run(&["--help"]).await;
    assert_eq!((help.code, help.combined_output().contains("canary")), (Some(0), false), "{}", help.stdout);
    let logged = fixture.run(&["check"]).await;
    assert!(logged.stderr.contains("WARN") && !logged.stderr.contains("canary"), "{}", logged.stderr);
}

#[tokio::test]
async fn readme_settings_and_commands_work() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_keys()
        .env("AWS_ENDPOINT_URL", aws.url())
        .file("valetkey.toml", readme_block("# valetkey.toml"))
        .file("servers.json", readme_block("{\n  \"mcpServers\": {\n    \"aws-api\""));
    let output = fixture.run(&["check", "--mcp-config", "servers.json"]).await;
    let deliveries = "server `aws-api`: credentials `proxy`; it can use `proxy`, `endpoint`, `env`, `none`";
    let expected = format!("no faults; accounts: 2, servers: 1\n{deliveries}\n");
    assert_eq!((output.code, output.stdout), (Some(0), expected));
    let ran = fixture.run(&["exec", "--", "true"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "a success is silent");
    assert!(aws.sts_calls().iter().any(|(operation, _)| operation == "AssumeRole"));
}

#[tokio::test]
async fn default_account_is_only_account_or_required() {
    let role = "[accounts.prod]\nprovider = 'environment'\n";
    let one = fixture_with_keys().file("valetkey.toml", role).file("mcp.json", mcp_config(json!({})));
    assert_eq!(one.run(&["exec", "--", "true"]).await.code, Some(0));
    let several = one.file("valetkey.toml", format!("{role}[accounts.base]\nprovider = 'environment'\n"));
    let needs = "needs a `default_account`, because there are several accounts; name one of: base, prod";
    for (command, remedy) in [
        (&["exec", "--", "true"][..], ", or choose with `--account`"),
        (&["serve"], ""),
        (&["check", "--mcp-config", "mcp.json"], ""),
    ] {
        let output = several.run(command).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""), "{}", output.stderr);
        let expected = format!("error: valetkey.toml: [session] {needs}{remedy}\n");
        assert_eq!(output.stderr, expected);
    }
    let output = several.run(&["check"]).await;
    assert!(output.stdout.contains("no account is the default"), "{}", output.stdout);
    assert_eq!(several.run(&["exec", "--account", "prod", "--", "true"]).await.code, Some(0));
}

#[tokio::test]
async fn check_without_files_exits_two() {
    let fixture = ProgramFixture::new();
    let output = fixture.run(&["check"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    let folder = fixture.path("").canonicalize().unwrap();
    assert!(output.stderr.contains(folder.to_str().unwrap().trim_end_matches('/')), "{}", output.stderr);
}

#[tokio::test]
async fn check_remote_server_warns() {
    let file = mcp_config(json!({"ca": {"name": "Code Analysis", "url": "http://localhost:3000/mcp"}}));
    let output =
        ProgramFixture::new().file("mcp.json", file).run(&["check", "--mcp-config", "mcp.json"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.starts_with("warning: mcp.json:1: server `ca`: "), "{}", output.stderr);
}

#[tokio::test]
async fn serve_inside_gateway_fails_and_check_reports_it() {
    let file =
        mcp_config(json!({"aws": {"command": "valetkey", "args": ["serve", "--mcp-config", "mcp.json"]}}));
    let fixture = ProgramFixture::new().file("mcp.json", file);
    let output = fixture.run(&["check", "--mcp-config", "mcp.json"]).await;
    assert_eq!(output.code, Some(78));
    assert!(output.stderr.contains("server `aws`: `command` runs `valetkey serve`"), "{}", output.stderr);
    let outer = fixture.run(&["serve", "--mcp-config", "mcp.json"]).await;
    assert!(outer.stderr.contains("left out: `command` runs `valetkey serve`"), "{}", outer.stderr);
    let inner = fixture.env("VALETKEY_GATEWAY", "0").run(&["serve", "--mcp-config", "mcp.json"]).await;
    assert_eq!((inner.code, inner.stdout.as_str()), (Some(78), ""));
    assert!(inner.stderr.contains("would start it again without end"), "{}", inner.stderr);
}

#[tokio::test]
async fn exec_silent_sts_reports_progress() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:canary@{}/", silent.local_addr().unwrap());
    let text = "[accounts.base]\nprovider = 'environment'\n[accounts.role]\nprovider = 'assume-role'\nsource = \
                'base'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n[session]\ndefault_account = 'role'\n";
    let fixture = fixture_with_keys().env("AWS_ENDPOINT_URL", url).file("valetkey.toml", text);
    let mut child = fixture.start(&["--log", "valetkey=info", "exec", "--", "true"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(!line.contains("canary"), "{line}");
        if line.contains("waiting for credentials of the account `role`, from AWS STS at 127.0.0.1") {
            return;
        }
    }
}
