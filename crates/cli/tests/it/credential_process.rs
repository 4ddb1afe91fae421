//! `valetkey credential-process`: prints version 1 JSON on standard output, or nothing.

use serde_json::Value;
use std::fs;

use crate::exec::{KEY_ID, SECRET, TOKEN, shell_with_keys};
use crate::shell::Shell;

#[tokio::test]
async fn credential_process_prints_version_1_json() {
    let ended = shell_with_keys().run(&["credential-process"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let wanted = serde_json::json!({
        "Version": 1, "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "SessionToken": TOKEN,
    });
    assert_eq!(report, wanted);
}

#[tokio::test]
async fn credential_process_prints_expiry_and_account_id() {
    let shell = shell_with_keys()
        .env("AWS_CREDENTIAL_EXPIRATION", "2099-01-02T03:04:05Z")
        .env("AWS_ACCOUNT_ID", "111111111111");
    let report: Value = serde_json::from_str(&shell.run(&["credential-process"]).await.stdout).unwrap();
    assert_eq!(
        (&report["Expiration"], &report["AccountId"]),
        (&"2099-01-02T03:04:05Z".into(), &"111111111111".into())
    );
}

#[tokio::test]
async fn credential_process_without_credentials_reports_remedy() {
    let ended = Shell::new().run(&["credential-process"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("AWS_ACCESS_KEY_ID"), "{}", ended.stderr);
}

#[tokio::test]
async fn credential_process_unknown_account_is_config_error() {
    let shell = shell_with_keys().file("valetkey.toml", "[accounts.here]\nprovider = 'environment'\n");
    let ended = shell.run(&["credential-process", "--account", "there"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
    assert!(ended.stderr.contains("name one of: here"), "{}", ended.stderr);
}

#[tokio::test]
async fn credential_process_audits_serve_without_secrets() {
    let settings = "[audit]\nfile = 'audit.jsonl'\n[accounts.here]\nprovider = 'environment'\n";
    let shell = shell_with_keys().file("valetkey.toml", settings);
    let ended = shell.run(&["credential-process", "--log", "trace"]).await;
    assert!(ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{}", ended.stderr);
    let audit = fs::read_to_string(shell.path("audit.jsonl")).unwrap();
    assert!(audit.contains("\"component\":\"credential-process\""), "{audit}");
    assert!(!audit.contains(SECRET) && !audit.contains(TOKEN));
}
