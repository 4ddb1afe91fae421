//! The account of `valetkey.toml` in which the program runs.

use super::{KEY_ID, shell_with_keys};
use crate::cloud::CarelessCloud;
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

async fn shown(settings: &str, options: &[&str]) -> String {
    let shell = shell_with_keys().file("valetkey.toml", settings);
    let args = [&["exec", "--delivery", "env"], options, &["--", "sh", "-c", SHOW_SCRIPT]].concat();
    let ended = shell.run(&args).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout.trim_end().to_owned()
}

/// The region of the account, which takes precedence over that of the environment.
fn expected_output(region: &str) -> String {
    format!("{region} {region} {KEY_ID}")
}

#[tokio::test]
async fn exec_account_option_selects_account() {
    for (alias, region) in [("here", "us-west-2"), ("there", "ap-south-1")] {
        assert_eq!(shown(SETTINGS, &["--account", alias]).await, expected_output(region));
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
        assert_eq!(shown(settings, &[]).await, expected_output(region));
    }
}

#[tokio::test]
async fn exec_several_accounts_without_default_fails() {
    let shell = shell_with_keys().file("valetkey.toml", SETTINGS);
    let ended = shell.run(&["exec", "--", "true"]).await;
    assert_eq!(ended.code, Some(78));
    let expected = "needs a `default_account`, because there are several accounts; name one of: here, there";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[tokio::test]
async fn exec_disallowed_account_is_usable_only_as_source() {
    let settings = "[session]\ndefault_account = 'role'\nallowed_accounts = ['role', 'there']\n[accounts.there]\nprovider = 'environment'\n\
                    [accounts.keys]\nprovider = 'environment'\n[accounts.role]\nprovider = 'assume-role'\n\
                    source = 'keys'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n";
    let cloud = CarelessCloud::start().await;
    let shell = shell_with_keys().file("valetkey.toml", settings).env("AWS_ENDPOINT_URL", cloud.url());
    let run = async |options: &[&str]| {
        let args = [&["exec", "--delivery", "env"], options, &["--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID"]]
            .concat();
        shell.run(&args).await
    };
    let ended = run(&[]).await;
    assert!(ended.stdout.starts_with("ASIA"), "{}", ended.stderr);
    assert!(cloud.shown().contains(KEY_ID), "assumed with the keys that it may not have");
    assert_eq!(run(&["--account", "there"]).await.stdout.trim_end(), KEY_ID);
    let refused = run(&["--account", "keys"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(refused.stderr.contains("use one of: role, there"), "{}", refused.stderr);
}

#[tokio::test]
async fn exec_audit_file_records_use_without_secrets() {
    let settings = format!("[audit]\nfile = 'audit.jsonl'\n{SETTINGS}");
    let shell = shell_with_keys().file("valetkey.toml", settings);
    let ended = shell.run(&["exec", "--account", "here", "--delivery", "env", "--", "true"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records = std::fs::read_to_string(shell.path("audit.jsonl")).unwrap();
    let mode = std::fs::metadata(shell.path("audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the user may read the audit log");
    let events: Vec<serde_json::Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "serve" && event["account"] == "here"), "{records}");
    assert!(!records.contains("canary") && !records.contains(KEY_ID), "{records}");
}
