//! `valetkey credential-process`: prints version 1 JSON on standard output, or nothing.

use serde_json::Value;
use std::fs;

use crate::exec::{KEY_ID, SECRET, TOKEN, fixture_with_keys};
use crate::program_fixture::ProgramFixture;

#[tokio::test]
async fn credential_process_prints_version_1_json() {
    let output = fixture_with_keys().run(&["credential-process"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    let wanted = serde_json::json!({
        "Version": 1, "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "SessionToken": TOKEN,
    });
    assert_eq!(report, wanted);
}

#[tokio::test]
async fn credential_process_prints_expiry_and_account_id() {
    let fixture = fixture_with_keys()
        .env("AWS_CREDENTIAL_EXPIRATION", "2099-01-02T03:04:05Z")
        .env("AWS_ACCOUNT_ID", "111111111111");
    let report: Value = serde_json::from_str(&fixture.run(&["credential-process"]).await.stdout).unwrap();
    assert_eq!(
        (&report["Expiration"], &report["AccountId"]),
        (&"2099-01-02T03:04:05Z".into(), &"111111111111".into())
    );
}

#[tokio::test]
async fn credential_process_without_credentials_reports_remedy() {
    let output = ProgramFixture::new().run(&["credential-process"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("AWS_ACCESS_KEY_ID"), "{}", output.stderr);
}

#[tokio::test]
async fn credential_process_unknown_account_is_config_error() {
    let fixture = fixture_with_keys().file("valetkey.toml", "[accounts.here]\nprovider = 'environment'\n");
    let output = fixture.run(&["credential-process", "--account", "there"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""));
    assert!(output.stderr.contains("name one of: here"), "{}", output.stderr);
}

#[tokio::test]
async fn credential_process_audits_serve_without_secrets() {
    let settings = "[audit]\nfile = 'audit.jsonl'\n[accounts.here]\nprovider = 'environment'\n";
    let fixture = fixture_with_keys().file("valetkey.toml", settings);
    let output = fixture.run(&["credential-process", "--log", "trace"]).await;
    assert!(output.stdout.contains(SECRET) && !output.stderr.contains(SECRET), "{}", output.stderr);
    let audit = fs::read_to_string(fixture.path("audit.jsonl")).unwrap();
    assert!(audit.contains("\"component\":\"credential-process\""), "{audit}");
    assert!(!audit.contains(SECRET) && !audit.contains(TOKEN));
}
