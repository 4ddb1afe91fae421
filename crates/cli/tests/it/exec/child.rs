//! The environment of the program, and how its exit is passed on.

use std::collections::BTreeMap;

use tokio::io::AsyncWriteExt;

use super::{KEY_ID, SECRET, TOKEN, fixture_with_keys};
use crate::program_fixture::ProgramOutput;

/// Returns the program's environment, as `env` printed it.
fn parse_environment(output: &ProgramOutput) -> BTreeMap<&str, &str> {
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout.lines().filter_map(|line| line.split_once('=')).collect()
}

#[tokio::test]
async fn exec_endpoint_delivery_passes_address_and_no_key() {
    let fixture = fixture_with_keys()
        .env("AWS_PROFILE", "canary-profile")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "canary-file")
        .env("GITHUB_TOKEN", "canary-token")
        .env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
    let output = fixture.run(&["exec", "--", "env"]).await;
    let seen = parse_environment(&output);
    let names: Vec<&str> = seen.keys().copied().collect();
    let wanted = [
        "AWS_CONFIG_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CREDENTIAL_PROFILES_FILE",
        "AWS_DEFAULT_REGION",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_ENDPOINT_URL_STS",
        "AWS_REGION",
        "AWS_SHARED_CREDENTIALS_FILE",
        "HOME",
        "PATH",
    ];
    assert_eq!(names, wanted);
    assert_eq!(seen["AWS_REGION"], "eu-central-1");
    assert!(seen["AWS_CONTAINER_CREDENTIALS_FULL_URI"].starts_with("http://127.0.0.1:"));
    assert!(
        !output.combined_output().contains("canary") && !output.combined_output().contains(KEY_ID),
        "{output:?}"
    );
}

#[tokio::test]
async fn exec_env_delivery_passes_keys_and_no_address() {
    let output =
        fixture_with_keys().env("AWS_PROFILE", "host").run(&["exec", "--delivery", "env", "--", "env"]).await;
    let seen = parse_environment(&output);
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    assert_eq!(keys.map(|name| seen[name]), [KEY_ID, SECRET, TOKEN]);
    let leads_elsewhere = |name: &str| name.contains("CONTAINER") || name.ends_with("_PROFILE");
    let strangers: Vec<_> = seen.keys().filter(|name| leads_elsewhere(name)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(output.stderr, "");
}

#[tokio::test]
async fn exec_proxy_delivery_passes_placeholders_and_no_key() {
    let fixture = fixture_with_keys()
        .env("AWS_PROFILE", "canary-profile")
        .env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
        .env("AWS_USE_FIPS_ENDPOINT", "true");
    let output = fixture.run(&["exec", "--delivery", "proxy", "--inherit", "--", "env"]).await;
    let seen = parse_environment(&output);
    assert!(seen["AWS_ACCESS_KEY_ID"].starts_with("ASIAVALETKEY"));
    let proxy = seen["AWS_ENDPOINT_URL"];
    assert!(proxy.starts_with("http://127.0.0.1:"), "{proxy}");
    assert_eq!(seen["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"], format!("{proxy}/~bedrock-runtime/"));
    for name in ["AWS_ENDPOINT_URL_STS", "AWS_USE_FIPS_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
        assert!(!seen.contains_key(name), "{name}");
    }
    assert!(
        !output.combined_output().contains("canary") && !output.combined_output().contains(KEY_ID),
        "{output:?}"
    );
}

#[tokio::test]
async fn exec_env_option_adds_variables_but_no_identity() {
    let fixture = fixture_with_keys().env("LEVEL", "high").env("AWS_PROFILE", "host");
    let args = ["exec", "--env", "LEVEL", "--env", "MODE=a=b", "--env", "EMPTY=", "--env", "UNSET"];
    let identity =
        ["--env", "AWS_PROFILE", "--env", "AWS_ACCESS_KEY_ID", "--env", "AWS_ROLE_ARN=x", "--", "env"];
    let output = fixture.run(&[&args[..], &identity[..]].concat()).await;
    let seen = parse_environment(&output);
    assert_eq!((seen["LEVEL"], seen["MODE"], seen["EMPTY"]), ("high", "a=b", ""));
    for name in ["UNSET", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN"] {
        assert!(!seen.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn exec_env_option_passing_nothing_warns() {
    let secret = "kZb6vLq0/canary+0123456789abcdefghijklmn";
    let fixture = fixture_with_keys().env("LEVEL", "high").env("AWS_PROFILE", "host");
    for (option, expected) in [
        ("UNSET", "`--env UNSET` passes nothing: the variable is not set here"),
        ("AWS_PROFILE", "`--env AWS_PROFILE` is not passed: it could give the program other credentials"),
        ("AWS_REGION=us-west-2", "`--env AWS_REGION` is not passed: the session decides its value"),
        (secret, "`--env …` passes nothing"),
        ("LEVEL", ""),
        ("LEVEL=low", ""),
        ("AWS_REGION=eu-central-1", ""),
    ] {
        let output = fixture.run(&["exec", "--env", option, "--", "true"]).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), usize::from(!expected.is_empty()), "{}", output.stderr);
        assert!(output.stderr.contains(expected) && !output.stderr.contains("canary"), "{}", output.stderr);
    }
}

#[tokio::test]
async fn exec_inherit_passes_all_but_other_credentials() {
    let passed = [
        "SSH_AUTH_SOCK",
        "KUBECONFIG",
        "VIRTUAL_ENV",
        "XDG_RUNTIME_DIR",
        "EDITOR",
        "TF_VAR_region",
        "AWS_PAGER",
    ];
    let kept = ["AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_BEARER_TOKEN_BEDROCK"];
    let fixture = passed
        .iter()
        .chain(&kept)
        .fold(fixture_with_keys(), |fixture, name| fixture.env(name, "of-the-host"));
    let fixture =
        fixture.env("AWS_CONFIG_FILE", "canary").env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/canary");
    let output = fixture.run(&["exec", "--inherit", "--env", "MODE=ro", "--", "env"]).await;
    let seen = parse_environment(&output);
    for name in passed {
        assert_eq!(seen.get(name), Some(&"of-the-host"), "{name}");
    }
    assert!(kept.iter().all(|name| !seen.contains_key(name)), "{seen:?}");
    assert_eq!(seen["MODE"], "ro");
    assert!(!output.stdout.contains("canary") && !output.stdout.contains(KEY_ID), "{}", output.stdout);
    let plain = fixture.run(&["exec", "--", "env"]).await;
    assert!(!plain.stdout.contains("of-the-host"), "{}", plain.stdout);
}

#[tokio::test]
async fn exec_host_proxies_are_passed_and_exclude_loopback() {
    let names = ["HTTP_PROXY", "https_proxy", "ALL_PROXY"];
    let fixture =
        names.iter().fold(fixture_with_keys(), |fixture, name| fixture.env(name, "http://proxy:3128"));
    let output = fixture.env("NO_PROXY", ".corp").run(&["exec", "--", "env"]).await;
    let seen = parse_environment(&output);
    assert!(names.iter().all(|name| seen[name] == "http://proxy:3128"), "{seen:?}");
    for name in ["NO_PROXY", "no_proxy"] {
        assert_eq!(seen[name], ".corp,127.0.0.1,localhost,::1");
    }
}

#[tokio::test]
async fn exec_inherited_descriptor_reaches_program() {
    let valetkey = env!("CARGO_BIN_EXE_valetkey");
    let script = "exec 7< passed; exec \"$0\" exec -- sh -c 'cat <&7'";
    let output =
        fixture_with_keys().file("passed", "read").run_program("sh", &["-c", script, valetkey]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "read"), "{}", output.stderr);
}

#[tokio::test]
async fn exec_exit_code_is_returned() {
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
    {
        let output = fixture_with_keys().run(&["exec", "--", "sh", "-c", script]).await;
        assert_eq!((output.code, output.stderr.as_str()), (Some(code), ""), "{script}");
    }
}

#[tokio::test]
async fn exec_standard_streams_belong_to_program() {
    let fixture = fixture_with_keys();
    let mut started = fixture.start(&["exec", "--", "sh", "-c", "cat; echo heard >&2"]);
    let mut input = started.stdin.take().unwrap();
    input.write_all(b"said\n").await.unwrap();
    drop(input);
    let output = started.wait_with_output().await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"said\n"[..], &b"heard\n"[..]));
}

#[tokio::test]
async fn exec_options_after_program_are_passed_to_it() {
    let output = fixture_with_keys().run(&["exec", "echo", "--delivery", "--", "--help", "-x"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "--delivery -- --help -x\n"));
}

#[tokio::test]
async fn exec_program_ended_removes_session_dir() {
    let output = fixture_with_keys().run(&["exec", "--", "sh", "-c", "ls \"$AWS_CONFIG_FILE\""]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(!std::path::Path::new(output.stdout.trim()).exists(), "{}", output.stdout);
}
