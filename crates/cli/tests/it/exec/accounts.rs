//! The account of `valetkey.toml` in which the program runs.

use super::{KEY_ID, fixture_with_keys};
use crate::aws_fixture::AwsFixture;
use std::os::unix::fs::PermissionsExt;

const SETTINGS: &str = "\
[accounts.here]
provider = 'environment'
region = 'us-west-2'
[accounts.there]
provider = 'environment'
region = 'ap-south-1'
";

/// Prints the variables of the program that contain its region and its key.
const SHOW_SCRIPT: &str = "echo $AWS_REGION $AWS_DEFAULT_REGION $AWS_ACCESS_KEY_ID";

async fn printed_region(settings: &str, options: &[&str]) -> String {
    let fixture = fixture_with_keys().file("valetkey.toml", settings);
    let args = [&["exec", "--delivery", "env"], options, &["--", "sh", "-c", SHOW_SCRIPT]].concat();
    let output = fixture.run(&args).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    output.stdout.trim_end().to_owned()
}

/// The region of the account, which takes precedence over that of the environment.
fn expected_output(region: &str) -> String {
    format!("{region} {region} {KEY_ID}")
}

#[tokio::test]
async fn exec_account_option_selects_account() {
    for (alias, region) in [("here", "us-west-2"), ("there", "ap-south-1")] {
        assert_eq!(printed_region(SETTINGS, &["--account", alias]).await, expected_output(region));
    }
}

#[tokio::test]
async fn exec_default_account_is_set_then_default_then_only() {
    let set = format!("[session]\ndefault_account = 'there'\n{SETTINGS}");
    let named = SETTINGS.replace("there", "default");
    let only = SETTINGS.split("[accounts.there]").next().unwrap();
    for (settings, region) in
        [(set.as_str(), "ap-south-1"), (named.as_str(), "ap-south-1"), (only, "us-west-2")]
    {
        assert_eq!(printed_region(settings, &[]).await, expected_output(region));
    }
}

#[tokio::test]
async fn exec_several_accounts_without_default_fails() {
    let fixture = fixture_with_keys().file("valetkey.toml", SETTINGS);
    let output = fixture.run(&["exec", "--", "true"]).await;
    assert_eq!(output.code, Some(78));
    let expected = "needs a `default_account`, because there are several accounts; name one of: here, there";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}

#[tokio::test]
async fn exec_disallowed_account_is_usable_only_as_source() {
    let settings = "[session]\ndefault_account = 'role'\nallowed_accounts = ['role', 'there']\n[accounts.there]\nprovider = 'environment'\n\
                    [accounts.keys]\nprovider = 'environment'\n[accounts.role]\nprovider = 'assume-role'\n\
                    source = 'keys'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n";
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_keys().file("valetkey.toml", settings).env("AWS_ENDPOINT_URL", aws.url());
    let run = async |options: &[&str]| {
        let args = [&["exec", "--delivery", "env"], options, &["--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID"]]
            .concat();
        fixture.run(&args).await
    };
    let output = run(&[]).await;
    assert!(output.stdout.starts_with("ASIA"), "{}", output.stderr);
    assert!(aws.received_credentials().contains(KEY_ID), "assumed with the keys that it may not have");
    assert_eq!(run(&["--account", "there"]).await.stdout.trim_end(), KEY_ID);
    let refused = run(&["--account", "keys"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(refused.stderr.contains("use one of: role, there"), "{}", refused.stderr);
}

#[tokio::test]
async fn exec_audit_file_records_use_without_secrets() {
    let settings = format!("[audit]\nfile = 'audit.jsonl'\n{SETTINGS}");
    let fixture = fixture_with_keys().file("valetkey.toml", settings);
    let output = fixture.run(&["exec", "--account", "here", "--delivery", "env", "--", "true"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let records = std::fs::read_to_string(fixture.path("audit.jsonl")).unwrap();
    let mode = std::fs::metadata(fixture.path("audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the user may read the audit log");
    let events: Vec<serde_json::Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "serve" && event["account"] == "here"), "{records}");
    assert!(!records.contains("canary") && !records.contains(KEY_ID), "{records}");
}
