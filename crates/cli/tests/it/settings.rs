//! Settings files as users write them: with keys of other tools, relative paths and home folders.

use crate::aws_fixture::AwsFixture;
use crate::exec::fixture_with_keys;
use crate::program_fixture::ProgramFixture;

/// Checks `text`, which has errors, and returns the report.
async fn check_output(text: &str) -> String {
    let fixture = ProgramFixture::new().env("AWS_REGION", "eu-central-1").file("valetkey.toml", text);
    let output = fixture.run(&["check"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""), "{}", output.stderr);
    output.stderr
}

const BASE: &str = "[accounts.base]\nprovider = 'environment'\n";

fn role_settings(keys: &str) -> String {
    format!("{BASE}[accounts.r]\nprovider = 'assume-role'\nsource = 'base'\n{keys}\n")
}

#[tokio::test]
async fn check_aws_spelling_suggests_key() {
    let stderr = check_output(
        "[accounts.dev]\nprovider = 'assume_role'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n\
         source_profile = 'base'\nrole_session_name = 'x'\n[accounts.base]\nprovider = 'env'\n",
    )
    .await;
    assert_eq!(stderr.lines().count(), 4, "a key that is misspelt is not missing as well: {stderr}");
    for words in [
        "toml:2: [accounts.dev] `provider` is not a provider; did you mean `assume-role`?",
        "toml:4: [accounts.dev] unknown field `source_profile`; did you mean `source`?",
        "toml:5: [accounts.dev] unknown field `role_session_name`; did you mean `session_name`?",
        "toml:7: [accounts.base] `provider` is not a provider; did you mean `environment`?",
    ] {
        assert!(stderr.contains(words), "{words}\n{stderr}");
    }
}

#[tokio::test]
async fn check_value_in_other_form_suggests_right_one() {
    let arn = "role_arn = 'arn:aws:iam::111111111111:role/agent'";
    for (text, words) in [
        (
            role_settings(&format!("{arn}\nduration_seconds = '3600'")),
            "`duration_seconds` must be a whole number of seconds, without quotes",
        ),
        (
            role_settings("role_arn = 'arn:aws:sts::111111111111:assumed-role/agent/session'"),
            "`role_arn` is the ARN of a role session; name the role, such as \
             `arn:aws:iam::111111111111:role/agent`",
        ),
        (
            format!("{BASE}[servers.awslabs.aws-api-mcp-server]\naccount = 'base'\n"),
            "a name with dots is quoted: `[servers.\"awslabs.aws-api-mcp-server\"]`",
        ),
        (
            format!(
                "{BASE}[accounts.s]\nprovider = 'secrets-manager'\nsource = 'base'\nsecret_id = \
                 'arn:aws-us-gov:secretsmanager:us-gov-west-1:111111111111:secret:team/key-AbCdEf:x:AWSCURRENT'\n"
            ),
            "`secret_id` is an ARN with parts of an ECS task definition behind it; end it after the name",
        ),
        ("[acounts.a]\nprovider = 'memory'\n".to_owned(), "is not a section; did you mean `[accounts]`?"),
        (
            "[accounts.a]\nprovider = 'environment'\naws_access_key_id = 'canary'\n".to_owned(),
            "toml:3: [accounts.a] unknown field `aws_access_key_id`; keys are not kept in this file",
        ),
        (
            "[accounts.a]\nprovider = memory\n".to_owned(),
            "toml:2:12: is not valid TOML here: string values must be quoted",
        ),
    ] {
        let stderr = check_output(&text).await;
        assert!(stderr.contains(words) && !stderr.contains("canary"), "{words}\n{stderr}");
    }
}

#[tokio::test]
async fn check_unknown_server_key_fails() {
    for limit in
        ["enabled = false", "disabled = true", "deny = ['x']", "disabledTools = ['x']", "readOnly = true"]
    {
        let stderr = check_output(&format!("{BASE}[servers.aws]\naccount = 'base'\n{limit}\n")).await;
        let key = limit.split([' ', '.']).next().unwrap();
        assert!(
            stderr.contains(&format!("toml:5: [servers.aws] unknown field `{key}`")),
            "{limit}: {stderr}"
        );
    }
}

#[tokio::test]
async fn check_with_tool_limits_in_another_form_reports_each() {
    for (limit, words) in [
        ("disabledTools = ['x']", "[servers.aws] unknown field `disabledTools`; did you mean `tools`?"),
        ("tools.only = ['x']", "[servers.aws] `tools` unknown field `only`"),
        ("requests.only = ['x']\ncredentials = 'proxy'", "[servers.aws] `requests` unknown field `only`"),
        (
            "requests.deny = ['s3:*']",
            "[servers.aws] `requests` applies only with `credentials = \"proxy\"`; set that",
        ),
        (
            "requests.deny = ['sqs']\ncredentials = 'proxy'",
            "[servers.aws.requests] `deny` `sqs`: `rule` must be `service:Operation`",
        ),
        ("tools.deny = 'x'", "[servers.aws.tools] `deny` must be a list"),
        ("tools = ['x']", "[servers.aws] `tools` must be a table; write it under `[servers.aws.tools]`"),
    ] {
        let output = check_output(&format!("{BASE}[servers.aws]\naccount = 'base'\n{limit}\n")).await;
        assert!(output.contains("toml:5: ") && output.contains(words), "{words}: {output}");
        assert_eq!(output.lines().count(), 1, "{output}");
    }
}

#[tokio::test]
async fn settings_relative_path_resolves_from_file_folder() {
    let document = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}"#;
    let fixture = fixture_with_keys();
    std::fs::create_dir(fixture.path("settings")).unwrap();
    let text = "[accounts.default]\nprovider = 'process'\ncommand = './credentials'\n[policies.look]\nfile = \
                'look.json'\n[audit]\nfile = '${PLACE}.jsonl'\n";
    let fixture = fixture
        .env("PLACE", "audit")
        .discovered_file("settings/valetkey.toml", text)
        .discovered_file("settings/look.json", document)
        .discovered_file("settings/credentials", "#!/bin/sh\ntouch ran\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(fixture.path("settings/credentials"), executable).unwrap();
    let output = fixture.run(&["check", "--config", "settings/valetkey.toml"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    fixture.run(&["exec", "--config", "settings/valetkey.toml", "--", "true"]).await;
    assert!(fixture.path("settings/audit.jsonl").is_file());
    assert!(fixture.file_names().contains(&"ran".to_owned()), "the program runs in the working directory");
}

#[tokio::test]
async fn settings_tilde_path_resolves_to_home() {
    let aws = AwsFixture::start().await;
    let identity = |file: &str| {
        format!(
            "[accounts.w]\nprovider = 'web-identity'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n\
             token_file = '{file}'\n"
        )
    };
    let fixture = fixture_with_keys().env("AWS_ENDPOINT_URL", aws.url()).discovered_file("token", "a.b.c");
    let fixture = fixture.file("valetkey.toml", identity("~/token"));
    let output = fixture.run(&["exec", "--", "true"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let stderr = check_output(&identity("${NO_SUCH_VARIABLE}")).await;
    let words =
        "toml:4: [accounts.w] `token_file` needs the environment variable `NO_SUCH_VARIABLE`, which is not";
    assert!(stderr.contains(words), "{stderr}");
    assert!(check_output(&identity("~other/token")).await.contains("names the home of another user"));
}

#[tokio::test]
async fn check_store_reports_each_error_at_its_key() {
    let ring = "key_ring_file = 'ring.json'\n";
    for (keys, words) in [
        ("url = 'http://redis/'\n", "toml:3: [store] `url` must begin with `redis://`"),
        (
            "url = 'redis://valetkey:hunter2@redis/'\n",
            "toml:3: [store] `url` must contain no user and no password",
        ),
        ("url = 'redis://redis/'\nnamespace = 'A B'\n", "toml:4: [store] `namespace` must be 1 to 64"),
        (
            "url = 'redis://redis/'\nusername = 'valetkey'\n",
            "toml:4: [store] `username` needs `password_env`",
        ),
        (
            "url = 'redis://redis/'\npassword_env = 'UNSET'\n",
            "toml:4: [store] `password_env` names an environment",
        ),
        (
            "url = 'redis://redis/'\nidle_seconds = 9\nlifetime_seconds = 8\n",
            "toml:4: [store] `idle_seconds`",
        ),
        ("url = 'redis://redis/'\npasword_env = 'X'\n", "did you mean `password_env`?"),
        (
            "url = 'redis://redis/'\nroot_certificates = 'none.pem'\n",
            "toml:4: [store] `root_certificates` names a file",
        ),
    ] {
        let text = format!("\n[store]\n{keys}{ring}");
        let fixture = ProgramFixture::new().file("ring.json", RING).file("valetkey.toml", text);
        let output = fixture.run(&["check"]).await;
        assert_eq!(output.code, Some(78), "{keys}: {}", output.stderr);
        assert!(output.stderr.contains(words), "{words}\n{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    }
}

const RING: &str = r#"{"version": 1, "current": 1, "keys": [{"term": 1, "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}"#;

#[tokio::test]
async fn check_store_without_usable_key_ring_is_an_error() {
    for (keys, words) in [
        ("", "`url` needs `key_ring_file` or `key_ring_env`"),
        ("key_ring_file = 'bad.json'\n", "`key_ring_file` names a key ring that cannot be used"),
        ("key_ring_file = 'ring.json'\nkey_ring_env = 'RING'\n", "`key_ring_env` excludes `key_ring_file`"),
    ] {
        let text = format!("[store]\nurl = 'rediss://redis:6379/'\n{keys}");
        let fixture = ProgramFixture::new().file("ring.json", RING).file("bad.json", "hunter2");
        let output = fixture.env("RING", RING).file("valetkey.toml", text).run(&["check"]).await;
        assert_eq!(output.code, Some(78), "{keys}: {}", output.stderr);
        assert!(output.stderr.contains(words), "{words}\n{}", output.stderr);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    }
    let text = "[store]\nurl = 'rediss://redis:6379/'\nkey_ring_env = 'RING'\n";
    let output = ProgramFixture::new().env("RING", RING).file("valetkey.toml", text).run(&["check"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}
