//! `ProcessProvider`: the output of a program, its environment, and the end of its processes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;
use valetkey_backends::{ProcessBuilder, ProcessProvider};
use valetkey_core::testing::Canary;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Expiry, ProviderChain, Result};

use crate::{capture_logs, region};

/// How long a program that should have been stopped is waited for.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const FULL_OUTPUT: &str = r#"{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s3cret","SessionToken":"t0ken","Expiration":"2099-01-01T00:00:00+00:00","AccountId":"111111111111"}"#;

fn program_running(script: &str) -> ProcessBuilder {
    ProcessProvider::builder("/bin/sh").arg("-c").arg(script).env("PATH", "/usr/bin:/bin")
}

fn program_printing(text: &str) -> ProcessBuilder {
    program_running(r#"printf %s "$1""#).args(["sh", text])
}

async fn provide(builder: ProcessBuilder) -> Result<Credentials> {
    timeout(STOP_TIMEOUT, builder.build().unwrap().provide()).await.unwrap()
}

async fn provide_error(builder: ProcessBuilder) -> Error {
    let error = provide(builder).await.unwrap_err();
    assert_eq!(error.provider(), Some("process"));
    assert!(error.next_step().is_some(), "{error}");
    error
}

fn make_fifo(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[tokio::test]
async fn process_output_every_field_maps() {
    let credentials = provide(program_printing(FULL_OUTPUT).region(region("eu-central-1"))).await.unwrap();
    assert_eq!(credentials.access_key_id().as_str(), crate::KEY_ID);
    assert_eq!(credentials.expose_secret_access_key(), "s3cret");
    assert_eq!(credentials.expose_session_token(), Some("t0ken"));
    assert_eq!(credentials.expiry().to_string(), "2099-01-01T00:00:00Z");
    assert_eq!(credentials.account_id().unwrap().as_str(), "111111111111");
    assert_eq!(credentials.region().unwrap().as_str(), "eu-central-1");
    assert_eq!(credentials.provider(), "process");
}

#[tokio::test]
async fn process_output_optional_fields_may_be_absent_or_blank() {
    for rest in ["", r#","SessionToken":"","Expiration":null,"AccountId":" ","Other":[1]"#] {
        let text = format!(
            "\n{{\"Version\":1,\"AccessKeyId\":\"{}\",\"SecretAccessKey\":\"s\"{rest}}}\n",
            crate::KEY_ID
        );
        let credentials = provide(program_printing(&text)).await.unwrap();
        assert!(!credentials.has_session_token() && credentials.account_id().is_none());
        assert_eq!(credentials.expiry(), Expiry::Never);
    }
}

/// Documents that programs of the field print, one for each spelling.
#[tokio::test]
async fn process_output_common_spellings_are_accepted() {
    let with = |fields: &str| {
        format!(
            r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"s","SessionToken":"t"{fields}}}"#,
            crate::KEY_ID
        )
    };
    for (expiration, expected) in [
        (r#""2035-01-01T08:45:57Z""#, "2035-01-01T08:45:57Z"),
        (r#""2035-01-01T08:45Z""#, "2035-01-01T08:45:00Z"),
        (r#""2035-01-01T08:45:57+0000""#, "2035-01-01T08:45:57Z"),
        (r#""2035-01-01T08:45:57""#, "2035-01-01T08:45:57Z"),
        (r#""2035-01-01 08:45:57 UTC""#, "2035-01-01T08:45:57Z"),
        ("2051253957", "2035-01-01T08:45:57Z"),
        (r#""0001-01-01T00:00:00Z""#, "never"),
        (r#""""#, "never"),
    ] {
        let credentials =
            provide(program_printing(&with(&format!(r#","Expiration":{expiration}"#)))).await.unwrap();
        assert_eq!(credentials.expiry().to_string(), expected, "{expiration}");
    }
    let with_account = provide(program_printing(&with(r#","AccountId":111111111111"#))).await.unwrap();
    assert_eq!(with_account.account_id().unwrap().as_str(), "111111111111");
    provide(program_printing(&with("").replace(":1,", ":1.0,"))).await.unwrap();
    provide(program_printing(&format!("\u{feff}{}\n", with("")))).await.unwrap();
}

#[tokio::test]
async fn process_output_with_leading_text_is_invalid() {
    let error = provide_error(program_printing(&format!("hunter2 opens a browser ...\n{FULL_OUTPUT}"))).await;
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("output")), "{error}");
    assert!(error.message().contains("text before the JSON"), "{error}");
    assert!(error.next_step().unwrap().contains("standard error"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn process_inherits_proxy_variables_in_both_cases() {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].map(str::to_owned);
    let all: Vec<_> = names.iter().flat_map(|name| [name.clone(), name.to_lowercase()]).collect();
    let variables = all.iter().map(|name| (name.into(), format!("value-of-{name}").into()));
    let print = all.iter().map(|name| format!("\"${name}\"")).collect::<Vec<_>>().join("");
    let script = format!(
        r#"printf '{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"%s"}}' {print}"#,
        crate::KEY_ID
    );
    let credentials = provide(program_running(&script.replace("\"\"", "")).inherit(variables)).await.unwrap();
    for name in &all {
        let value = format!("value-of-{name}");
        assert!(credentials.expose_secret_access_key().contains(&value), "{name}");
    }
}

#[tokio::test]
async fn process_output_wrong_version_or_missing_names_field() {
    for (from, to, field) in [
        ("\"Version\":1,", "", "Version"),
        ("\"Version\":1,", "\"Version\":2,", "Version"),
        ("\"Version\":1,", "\"Version\":\"1\",", "Version"),
        ("\"Version\":1,", "\"Version\":1.5,", "Version"),
        ("AKIAIOSFODNN7EXAMPLE", "", "AccessKeyId"),
        ("AKIAIOSFODNN7EXAMPLE", "hunter2 hunter2", "AccessKeyId"),
        ("\"AKIAIOSFODNN7EXAMPLE\"", "7", "AccessKeyId"),
        ("s3cret", "", "SecretAccessKey"),
        ("s3cret", "hunter2\\u0000", "SecretAccessKey"),
        ("\"s3cret\"", "[\"hunter2\"]", "SecretAccessKey"),
        ("t0ken", "hunter2 hunter2", "SessionToken"),
        ("2099-01-01", "hunter2", "Expiration"),
        ("111111111111", "hunter2", "AccountId"),
    ] {
        let error = provide_error(program_printing(&FULL_OUTPUT.replace(from, to))).await;
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn process_output_truncated_json_reports_position_only() {
    for end in 0..FULL_OUTPUT.len() {
        let error = provide_error(program_printing(&FULL_OUTPUT[..end])).await;
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("output")), "{end}: {error}");
        let place = format!("line 1 column {end}");
        assert!(error.message().contains(&place), "{end}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3c"), "{error:?}");
    }
    for (script, rule) in [
        (r"printf '[1]'", "JSON object"),
        (r"printf 'hunter2'", "line 1 column 1"),
        (r"printf '{}\n{}'", "line 2 column 1"),
        (r"printf '\377'", "UTF-8"),
    ] {
        let error = provide_error(program_running(script)).await;
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("output")), "{error}");
        assert!(error.message().contains(rule) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn process_output_already_expired_is_transient() {
    let error = provide_error(program_printing(&FULL_OUTPUT.replace("2099", "2019"))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn process_failure_reports_exit_code_without_output() {
    let canary = Canary::new();
    let text = canary.to_json().to_string();
    for (end, expected) in
        [("exit 3", "exit code 3"), ("exit 255", "exit code 255"), ("kill -9 $$", "signal 9")]
    {
        let script = format!(r#"printf %s "$1"; printf %s "$1" >&2; {end}"#);
        let (logs, guard) = capture_logs();
        let error = provide_error(program_running(&script).args(["sh", &text])).await;
        drop(guard);
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error}");
        assert!(error.message().contains(expected), "{error}");
        let text = format!("{error} {error:?} {}", logs.text());
        assert!(canary.found_in(&text).is_empty(), "{text}");
    }
}

#[tokio::test]
async fn process_output_and_environment_are_not_logged() {
    let canary = Canary::new();
    let keys = canary.credentials(Expiry::Never).unwrap();
    let text = FULL_OUTPUT.replace("s3cret", keys.expose_secret_access_key());
    let text = text.replace("t0ken", keys.expose_session_token().unwrap());
    let (logs, guard) = capture_logs();
    tracing::trace!("the subscriber listens");
    let builder = program_printing(&text).env("HELPER_PASSWORD", canary.expose_secret());
    let built = format!("{builder:?}");
    let provider = builder.build().unwrap();
    let credentials = provider.provide().await.unwrap();
    drop(guard);
    assert_eq!(credentials.expose_secret_access_key(), canary.expose_secret());
    let text = format!("{built} {provider:?} {credentials:?} {}", logs.text());
    assert!(text.contains("the subscriber listens") && text.contains("/bin/sh"), "{text}");
    assert!(canary.found_in(&text).is_empty(), "{text}");
}

#[tokio::test]
async fn process_missing_program_is_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "no program").unwrap();
    for (builder, rule) in [
        (ProcessProvider::builder("/nowhere/hunter2"), "does not exist"),
        (ProcessProvider::builder("hunter2-that-is-not-installed"), "does not exist"),
        (ProcessProvider::builder(&plain), "may not be run"),
        (ProcessProvider::builder(plain.join("below")), "no possible program"),
        (ProcessProvider::builder("/bin/sh").arg("hunter2\0"), "no possible program"),
        (program_printing(FULL_OUTPUT).current_dir("/nowhere"), "does not exist"),
    ] {
        let fallback = program_printing(FULL_OUTPUT).build().unwrap();
        let chain = ProviderChain::new(builder.build().unwrap()).or_else(fallback);
        let error = chain.provide().await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("program")), "{error}");
        assert!(error.message().contains(rule), "`{error}` does not say {rule}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let error = ProcessProvider::builder("").build().unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("program")));
}

async fn environment_seen_by(builder: impl FnOnce(ProcessBuilder) -> ProcessBuilder) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("environment");
    let given = ProcessProvider::builder("/bin/sh");
    let script = format!("/usr/bin/env > \"$1\"; printf %s '{FULL_OUTPUT}'");
    let given = given.arg("-c").arg(script).arg("sh").arg(&path);
    provide(builder(given)).await.unwrap();
    let own = ["PWD=", "SHLVL=", "_=", "OLDPWD="];
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !own.iter().any(|name| line.starts_with(name)))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn process_environment_contains_only_given_variables() {
    assert!(environment_seen_by(|builder| builder).await.is_empty());
    let hosts = || {
        [
            ("HOME", "/home-of-host"),
            ("PATH", "/usr/bin:/bin"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("LD_PRELOAD", "x"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
    };
    let named = ["HELPER=yes", "HOME=/named", "PATH=/usr/bin:/bin"];
    for order in [true, false] {
        let seen = environment_seen_by(|builder| match order {
            true => builder.inherit(hosts()).env("HOME", "/named").envs([("HELPER", "yes")]),
            false => builder.envs([("HELPER", "yes"), ("HOME", "/named")]).inherit(hosts()),
        });
        assert_eq!(seen.await, named);
    }
}

#[tokio::test]
async fn process_current_dir_is_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    let script = format!(r#"test "$(pwd -P)" = "$1" && printf %s '{FULL_OUTPUT}'"#);
    provide(program_running(&script).arg("sh").arg(folder.as_os_str()).current_dir(&folder)).await.unwrap();
}

#[tokio::test]
#[ignore = "the other half of the next test, which gives it an input"]
async fn child_process_with_input() {
    provide(program_running(&format!("cat; printf %s '{FULL_OUTPUT}'"))).await.unwrap();
}

#[test]
fn process_stdin_is_not_inherited() {
    let mut child = crate::child_process("process::child_process_with_input");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hunter2").unwrap();
    crate::assert_ran_one_test(&child.wait_with_output().unwrap());
}

#[tokio::test]
async fn process_output_limit_one_mebibyte() {
    let padded = |total: usize| {
        let blanks = total - FULL_OUTPUT.len();
        program_running(&format!(r"head -c {blanks} /dev/zero | tr '\0' ' '; printf %s '{FULL_OUTPUT}'"))
    };
    assert!(provide(padded(1_048_576)).await.is_ok());
    let error = provide_error(padded(1_048_577)).await;
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("output")), "{error}");
    let endless = provide_error(program_running("yes")).await;
    assert!(endless.message().contains("1 MiB"), "{endless}");
}

/// Runs what may block for ever on a thread that is not waited for any longer than that.
async fn run_on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    std::thread::spawn(move || done.send(work()).ok());
    timeout(STOP_TIMEOUT, result).await.unwrap().unwrap()
}

async fn read_first_line(pipe: &Path) -> BufReader<File> {
    let pipe = pipe.to_owned();
    let read = move || {
        let mut reader = BufReader::new(File::open(pipe).unwrap());
        reader.read_line(&mut String::new()).unwrap();
        reader
    };
    run_on_thread(read).await
}

/// The script and its children hold the pipe open, so that the pipe ends when the last of them ends.
async fn wait_closed(mut held_open: BufReader<File>) {
    run_on_thread(move || held_open.read_to_end(&mut Vec::new()).unwrap()).await;
}

#[tokio::test]
async fn process_dropped_fetch_kills_process_group() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = make_fifo(&folder);
    let script = r#"exec 3>"$1"; (sleep 600; true) & echo started >&3; wait"#;
    let provider = program_running(script).arg("sh").arg(&pipe).build().unwrap();
    let fetch = tokio::spawn(async move { provider.provide().await });
    let held_open = read_first_line(&pipe).await;
    fetch.abort();
    assert!(fetch.await.unwrap_err().is_cancelled());
    wait_closed(held_open).await;
}

/// Time that stands still moves on when nothing else is to be done but to wait for the program.
#[tokio::test(start_paused = true)]
async fn process_over_timeout_is_timed_out() {
    let slow = program_running("sleep 600").timeout(Duration::from_secs(3_600));
    let error = slow.build().unwrap().provide().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::TimedOut, Some("process")), "{error}");
}

#[test]
fn process_timeout_limits_1_s_to_1_h() {
    for (seconds, fits) in [(0, false), (1, true), (3_600, true), (3_601, false)] {
        let built = program_running("").timeout(Duration::from_secs(seconds)).build();
        assert_eq!(built.as_ref().is_err_and(|error| error.field() == Some("timeout")), !fits, "{seconds}");
    }
}

#[tokio::test]
async fn process_background_children_are_killed_after_exit() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = make_fifo(&folder);
    let script = format!(r#"exec 3>"$1"; sleep 600 & echo started >&3; printf %s '{FULL_OUTPUT}'"#);
    let builder = program_running(&script).arg("sh").arg(&pipe);
    let (held_open, result) = tokio::join!(read_first_line(&pipe), provide(builder));
    assert_eq!(result.unwrap().expose_secret_access_key(), "s3cret");
    wait_closed(held_open).await;
}

#[tokio::test]
async fn process_command_line_is_split_into_words() {
    let line = format!(r#"/bin/sh -c 'printf %s "$1"' "any name" '{FULL_OUTPUT}'"#);
    let provider = ProcessProvider::from_command_line(&line).unwrap().build().unwrap();
    assert_eq!(provider.provide().await.unwrap().expose_secret_access_key(), "s3cret");
}

#[test]
fn process_command_line_needing_shell_is_invalid() {
    for (line, rule) in [
        ("hunter2 $HOME/x", "needs a shell"),
        ("hunter2 \"$HOME\"", "needs a shell"),
        ("hunter2 `id`", "needs a shell"),
        ("hunter2 | tee x", "needs a shell"),
        ("~/hunter2", "needs a shell"),
        ("hunter2 {a,b}", "needs a shell"),
        ("A=b hunter2", "needs a shell"),
        ("hunter2 #comment", "needs a shell"),
        ("hunter2 'open", "does not end"),
        ("hunter2 \"open", "does not end"),
        ("hunter2 \\", "does not end"),
    ] {
        let error = ProcessProvider::from_command_line(line).unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some("credential_process")),
            "{error}"
        );
        assert_eq!(error.provider(), Some("process"));
        assert!(error.message().contains(rule), "`{error}` does not say {rule}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    for empty in ["", "  ", "''"] {
        assert_eq!(
            ProcessProvider::from_command_line(empty).unwrap().build().unwrap_err().field(),
            Some("program")
        );
    }
}
