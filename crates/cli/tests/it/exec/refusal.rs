//! Without credentials nothing is started, and the error names the remedy.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{KEY_ID, SECRET, shell_with_keys};
use crate::shell::Shell;

/// Returns the exit code and the error, which must not contain a secret. The program must not have run.
async fn run_refused(shell: Shell, args: &[&str]) -> (Option<i32>, String) {
    let ended = shell.run(&[&["exec"], args, &["--", "touch", "ran"]].concat()).await;
    assert!(!shell.path("ran").exists(), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.contains("canary") && !ended.stderr.contains(KEY_ID), "{}", ended.stderr);
    (ended.code, ended.stderr)
}

#[tokio::test]
async fn exec_incomplete_keys_name_missing_variable() {
    let id = Shell::new().env("AWS_ACCESS_KEY_ID", KEY_ID);
    let secret = Shell::new().env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_ACCESS_KEY_ID", "  ");
    let token = Shell::new().env("AWS_SESSION_TOKEN", "canary");
    let missing =
        [(id, "AWS_SECRET_ACCESS_KEY"), (secret, "AWS_ACCESS_KEY_ID"), (token, "AWS_ACCESS_KEY_ID")];
    for (shell, variable) in missing {
        let (code, stderr) = run_refused(shell, &[]).await;
        assert_eq!(code, Some(78), "{stderr}");
        assert!(stderr.contains(&format!("`{variable}` is missing or blank")), "{stderr}");
        assert!(stderr.contains(&format!("export {variable}, or unset ")), "{stderr}");
    }
}

#[tokio::test]
async fn exec_malformed_keys_name_variable() {
    let shell = || Shell::new().env("AWS_SECRET_ACCESS_KEY", SECRET);
    let wrong = [
        (shell().env("AWS_ACCESS_KEY_ID", "canary key"), "AWS_ACCESS_KEY_ID"),
        (shell_with_keys().env("AWS_CREDENTIAL_EXPIRATION", "canary"), "AWS_CREDENTIAL_EXPIRATION"),
        (shell_with_keys().env("AWS_ACCOUNT_ID", "canary"), "AWS_ACCOUNT_ID"),
        (shell_with_keys().env("AWS_REGION", "canary region"), "AWS_REGION"),
        (
            shell_with_keys().env("AWS_SECRET_ACCESS_KEY", OsStr::from_bytes(b"canary\xff")),
            "AWS_SECRET_ACCESS_KEY",
        ),
    ];
    for (shell, variable) in wrong {
        let (code, stderr) = run_refused(shell, &[]).await;
        assert_eq!(code, Some(78), "{variable}: {stderr}");
        assert!(stderr.contains(&format!("`{variable}` ")), "{stderr}");
    }
}

#[tokio::test]
async fn exec_expired_keys_fail_with_remedy() {
    let shell = shell_with_keys().env("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z");
    let (code, stderr) = run_refused(shell, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("expired") && stderr.contains("export new credentials"), "{stderr}");
}

#[tokio::test]
async fn exec_without_credentials_reports_remedy() {
    let (code, stderr) = run_refused(Shell::new(), &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("neither `AWS_ACCESS_KEY_ID` nor") && stderr.contains("export them"), "{stderr}");
}

#[tokio::test]
async fn exec_memory_account_fails() {
    let shell = shell_with_keys().file("valetkey.toml", "[accounts.given]\nprovider = 'memory'\n");
    let (code, stderr) = run_refused(shell, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("no credentials") && stderr.contains(';'), "{stderr}");
}

#[tokio::test]
async fn exec_unknown_account_lists_accounts() {
    let shell = shell_with_keys().file("valetkey.toml", "[accounts.dev]\nprovider = 'environment'\n");
    let (code, stderr) = run_refused(shell, &["--account", "prod"]).await;
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("`--account` is not one of the accounts") && stderr.contains("dev"), "{stderr}");
}

#[tokio::test]
async fn exec_invalid_settings_report_all_before_running() {
    let shell = shell_with_keys()
        .file("valetkey.toml", "[accounts.dev]\nprovider = 'canary'\n[session]\nregion = 'canary!'\n");
    let (code, stderr) = run_refused(shell, &[]).await;
    assert_eq!((code, stderr.lines().count()), (Some(78), 2), "{stderr}");
}

#[tokio::test]
async fn exec_missing_program_exits_127() {
    let ended = shell_with_keys().run(&["exec", "--", "no-such-program"]).await;
    assert_eq!(ended.code, Some(127));
    assert!(ended.stderr.contains("no-such-program could not be started"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn exec_unreachable_sts_fails_and_runs_nothing() {
    let settings = "[session]\ndefault_account = 'role'\n[accounts.keys]\nprovider = 'environment'\n\
                    [accounts.role]\nprovider = 'assume-role'\nsource = 'keys'\n\
                    role_arn = 'arn:aws:iam::111111111111:role/agent'\n";
    // Nothing listens on the discard port of loopback.
    let shell =
        shell_with_keys().file("valetkey.toml", settings).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let (code, stderr) = run_refused(shell.env("AWS_MAX_ATTEMPTS", "1"), &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("assume-role"), "{stderr}");
}
