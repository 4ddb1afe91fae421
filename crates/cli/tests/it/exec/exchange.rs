//! `exchange`: the program gets the exchanged credentials, in both deliveries.

use super::KEY_ID;
use crate::cloud::CarelessCloud;
use crate::shell::Shell;

const SETTINGS: &str = "[accounts.keys]\nprovider = 'environment'\nexchange = true\n";

/// A shell with long-lived keys.
fn shell_with_long_lived_keys(cloud: &CarelessCloud) -> Shell {
    let shell = Shell::new().env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", super::SECRET);
    shell
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL", cloud.url())
        .file("valetkey.toml", SETTINGS)
}

#[tokio::test]
async fn exec_exchange_long_lived_key_never_reaches_program() {
    let cloud = CarelessCloud::start().await;
    let shell = shell_with_long_lived_keys(&cloud);
    let ended = shell.run(&["exec", "--delivery", "env", "--", "env"]).await;
    assert!(ended.stdout.contains("AWS_ACCESS_KEY_ID=ASIA"), "{}", ended.said());
    assert!(ended.stdout.contains("AWS_REGION=eu-central-1"), "{}", ended.stdout);
    assert!(!ended.said().contains(KEY_ID) && !ended.said().contains(super::SECRET), "{}", ended.said());
    assert_eq!(cloud.sts_calls(), [("GetSessionToken".to_owned(), KEY_ID.to_owned())]);

    let ended = shell.run(&["credential-process"]).await;
    assert!(ended.stdout.contains("ASIA") && !ended.stdout.contains(KEY_ID), "{}", ended.said());
}

#[tokio::test]
async fn exec_exchange_temporary_credentials_pass_unchanged() {
    let cloud = CarelessCloud::start().await;
    let temporary = KEY_ID.replacen("AKIA", "ASIA", 1);
    let shell = shell_with_long_lived_keys(&cloud).env("AWS_SESSION_TOKEN", super::TOKEN);
    let ended =
        shell.env("AWS_ACCESS_KEY_ID", &temporary).run(&["exec", "--delivery", "env", "--", "env"]).await;
    assert!(ended.stdout.contains(&format!("AWS_ACCESS_KEY_ID={temporary}")), "{}", ended.said());
    assert_eq!(cloud.sts_calls(), []);
}
