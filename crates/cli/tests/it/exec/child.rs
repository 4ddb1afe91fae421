//! What the program sees and how its end is passed on.

use std::collections::BTreeMap;

use tokio::io::AsyncWriteExt;

use super::{KEY_ID, SECRET, TOKEN, with_keys};
use crate::shell::Ended;

/// The program's environment, as `env` printed it.
fn seen(ended: &Ended) -> BTreeMap<&str, &str> {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.lines().filter_map(|line| line.split_once('=')).collect()
}

#[tokio::test]
async fn by_endpoint_the_program_sees_an_address_and_no_key() {
    let shell = with_keys()
        .env("AWS_PROFILE", "canary-profile")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "canary-file")
        .env("GITHUB_TOKEN", "canary-token")
        .env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
    let ended = shell.run(&["exec", "--", "env"]).await;
    let seen = seen(&ended);
    let names: Vec<&str> = seen.keys().copied().collect();
    let wanted = [
        "AWS_CONFIG_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
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
    assert!(!ended.said().contains("canary") && !ended.said().contains(KEY_ID), "{ended:?}");
}

#[tokio::test]
async fn by_environment_the_program_sees_the_keys_and_no_address() {
    let ended = with_keys().env("AWS_PROFILE", "host").run(&["exec", "--delivery", "env", "--", "env"]).await;
    let seen = seen(&ended);
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    assert_eq!(keys.map(|name| seen[name]), [KEY_ID, SECRET, TOKEN]);
    let strangers: Vec<_> =
        seen.keys().filter(|name| name.contains("CONTAINER") || name.contains("PROFILE")).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(ended.stderr, "");
}

#[tokio::test]
async fn named_variables_are_added_and_cannot_bring_another_identity() {
    let shell = with_keys().env("LEVEL", "high").env("AWS_PROFILE", "host");
    let args = ["exec", "--env", "LEVEL", "--env", "MODE=a=b", "--env", "EMPTY=", "--env", "UNSET"];
    let identity =
        ["--env", "AWS_PROFILE", "--env", "AWS_ACCESS_KEY_ID", "--env", "AWS_ROLE_ARN=x", "--", "env"];
    let ended = shell.run(&[&args[..], &identity[..]].concat()).await;
    let seen = seen(&ended);
    assert_eq!((seen["LEVEL"], seen["MODE"], seen["EMPTY"]), ("high", "a=b", ""));
    for name in ["UNSET", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN"] {
        assert!(!seen.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_programs_exit_code_is_passed_on() {
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
    {
        let ended = with_keys().run(&["exec", "--", "sh", "-c", script]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), ""), "{script}");
    }
}

#[tokio::test]
async fn standard_streams_are_the_programs_own() {
    let shell = with_keys();
    let mut started = shell.start(&["exec", "--", "sh", "-c", "cat; echo heard >&2"]);
    let mut input = started.stdin.take().unwrap();
    input.write_all(b"said\n").await.unwrap();
    drop(input);
    let output = started.wait_with_output().await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"said\n"[..], &b"heard\n"[..]));
}

#[tokio::test]
async fn what_looks_like_our_option_after_the_program_is_the_programs() {
    let ended = with_keys().run(&["exec", "echo", "--delivery", "--", "--help", "-x"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "--delivery -- --help -x\n"));
}

#[tokio::test]
async fn the_folder_of_the_session_is_gone_when_the_program_has_ended() {
    let ended = with_keys().run(&["exec", "--", "sh", "-c", "ls \"$AWS_CONFIG_FILE\""]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!std::path::Path::new(ended.stdout.trim()).exists(), "{}", ended.stdout);
}
