//! Without credentials nothing is started, and the error names the remedy.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{KEY_ID, SECRET, fixture_with_keys};
use crate::program_fixture::ProgramFixture;

/// Returns the exit code and the error, which must not contain a secret. The program must not have run.
async fn run_refused(fixture: ProgramFixture, args: &[&str]) -> (Option<i32>, String) {
    let output = fixture.run(&[&["exec"], args, &["--", "touch", "ran"]].concat()).await;
    assert!(!fixture.path("ran").exists(), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    assert!(!output.stderr.contains("canary") && !output.stderr.contains(KEY_ID), "{}", output.stderr);
    (output.code, output.stderr)
}

#[tokio::test]
async fn exec_incomplete_keys_name_missing_variable() {
    let id = ProgramFixture::new().env("AWS_ACCESS_KEY_ID", KEY_ID);
    let secret = ProgramFixture::new().env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_ACCESS_KEY_ID", "  ");
    let token = ProgramFixture::new().env("AWS_SESSION_TOKEN", "canary");
    let missing =
        [(id, "AWS_SECRET_ACCESS_KEY"), (secret, "AWS_ACCESS_KEY_ID"), (token, "AWS_ACCESS_KEY_ID")];
    for (fixture, variable) in missing {
        let (code, stderr) = run_refused(fixture, &[]).await;
        assert_eq!(code, Some(78), "{stderr}");
        assert!(stderr.contains(&format!("`{variable}` is missing or blank")), "{stderr}");
        assert!(stderr.contains(&format!("export {variable}, or unset ")), "{stderr}");
    }
}

#[tokio::test]
async fn exec_malformed_keys_name_variable() {
    let fixture = || ProgramFixture::new().env("AWS_SECRET_ACCESS_KEY", SECRET);
    let wrong = [
        (fixture().env("AWS_ACCESS_KEY_ID", "canary key"), "AWS_ACCESS_KEY_ID"),
        (fixture_with_keys().env("AWS_CREDENTIAL_EXPIRATION", "canary"), "AWS_CREDENTIAL_EXPIRATION"),
        (fixture_with_keys().env("AWS_ACCOUNT_ID", "canary"), "AWS_ACCOUNT_ID"),
        (fixture_with_keys().env("AWS_REGION", "canary region"), "AWS_REGION"),
        (
            fixture_with_keys().env("AWS_SECRET_ACCESS_KEY", OsStr::from_bytes(b"canary\xff")),
            "AWS_SECRET_ACCESS_KEY",
        ),
    ];
    for (fixture, variable) in wrong {
        let (code, stderr) = run_refused(fixture, &[]).await;
        assert_eq!(code, Some(78), "{variable}: {stderr}");
        assert!(stderr.contains(&format!("`{variable}` ")), "{stderr}");
    }
}

#[tokio::test]
async fn exec_expired_keys_fail_with_remedy() {
    let fixture = fixture_with_keys().env("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z");
    let (code, stderr) = run_refused(fixture, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("expired") && stderr.contains("export new credentials"), "{stderr}");
}

#[tokio::test]
async fn exec_without_credentials_reports_remedy() {
    let (code, stderr) = run_refused(ProgramFixture::new(), &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("neither `AWS_ACCESS_KEY_ID` nor") && stderr.contains("export them"), "{stderr}");
}

#[tokio::test]
async fn exec_memory_account_fails() {
    let fixture = fixture_with_keys().file("valetkey.toml", "[accounts.given]\nprovider = 'memory'\n");
    let (code, stderr) = run_refused(fixture, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("no credentials") && stderr.contains(';'), "{stderr}");
}

#[tokio::test]
async fn exec_unknown_account_lists_accounts() {
    let fixture = fixture_with_keys().file("valetkey.toml", "[accounts.dev]\nprovider = 'environment'\n");
    let (code, stderr) = run_refused(fixture, &["--account", "prod"]).await;
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("`--account` is not one of the accounts") && stderr.contains("dev"), "{stderr}");
}

#[tokio::test]
async fn exec_invalid_settings_report_all_before_running() {
    let fixture = fixture_with_keys()
        .file("valetkey.toml", "[accounts.dev]\nprovider = 'canary'\n[session]\nregion = 'canary!'\n");
    let (code, stderr) = run_refused(fixture, &[]).await;
    assert_eq!((code, stderr.lines().count()), (Some(78), 2), "{stderr}");
}

#[tokio::test]
async fn exec_missing_program_exits_127() {
    let output = fixture_with_keys().run(&["exec", "--", "no-such-program"]).await;
    assert_eq!(output.code, Some(127));
    assert!(output.stderr.contains("no-such-program could not be started"), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
}

#[tokio::test]
async fn exec_unreachable_sts_fails_and_runs_nothing() {
    let settings = "[session]\ndefault_account = 'role'\n[accounts.keys]\nprovider = 'environment'\n\
                    [accounts.role]\nprovider = 'assume-role'\nsource = 'keys'\n\
                    role_arn = 'arn:aws:iam::111111111111:role/agent'\n";
    // Nothing listens on the discard port of loopback.
    let fixture =
        fixture_with_keys().file("valetkey.toml", settings).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let (code, stderr) = run_refused(fixture.env("AWS_MAX_ATTEMPTS", "1"), &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("assume-role"), "{stderr}");
}
