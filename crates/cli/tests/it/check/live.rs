//! `check --live`: what each account got, or why not, and no secret.

use crate::cloud::CarelessCloud;
use crate::exec::{SECRET, TOKEN, shell_with_keys};
use crate::shell::Shell;

/// Somebody's shell with keys, and an AWS that believes them.
fn shell_for(cloud: &CarelessCloud) -> Shell {
    shell_with_keys().env("AWS_ENDPOINT_URL", cloud.url())
}

const SETTINGS: &str = "\
[session]
region = 'eu-central-1'
[accounts.keys]
provider = 'environment'
[accounts.given]
provider = 'memory'
";

#[tokio::test]
async fn check_live_prints_each_account() {
    let cloud = CarelessCloud::start().await;
    let ended = shell_for(&cloud).file("valetkey.toml", SETTINGS).run(&["check", "--live"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let told = "keys: …MPLE from environment, account 111111111111, eu-central-1, until never, as \
                arn:aws:iam::111111111111:user/MPLE\n";
    assert!(ended.stdout.contains(told), "{}", ended.stdout);
    assert!(ended.stdout.contains("given: nothing is set"), "{}", ended.stdout);
    assert!(!ended.stdout.contains(SECRET) && !ended.stdout.contains(TOKEN));
}

#[tokio::test]
async fn check_live_failing_account_does_not_hide_others() {
    let settings = format!(
        "{SETTINGS}[accounts.role]\nprovider = 'assume-role'\nsource = 'given'\n\
         role_arn = 'arn:aws:iam::111111111111:role/agent'\n"
    );
    let cloud = CarelessCloud::start().await;
    let ended = shell_for(&cloud).file("valetkey.toml", settings).run(&["check", "--live"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("keys: …MPLE"), "{}", ended.stdout);
    assert!(ended.stderr.contains("role: assume-role: "), "{}", ended.stderr);
}

#[tokio::test]
async fn check_live_keys_of_wrong_account_fail() {
    let cloud = CarelessCloud::start().await;
    let role = |name: &str, account: &str| {
        format!(
            "[accounts.{name}]\nprovider = 'assume-role'\nsource = 'keys'\n\
             role_arn = 'arn:aws:iam::{account}:role/agent'\n"
        )
    };
    let settings = format!("{SETTINGS}{}{}", role("right", "111111111111"), role("wrong", "222222222222"));
    let shell = shell_for(&cloud).file("valetkey.toml", settings);
    let ended = shell.run(&["check", "--live"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("right: …"), "{}", ended.stdout);
    let told = "wrong: AWS takes its credentials for arn:aws:iam::111111111111:user/";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(ended.stderr.contains("its role is of account 222222222222"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);

    let mistaken = shell.env("AWS_ACCOUNT_ID", "333333333333").run(&["check", "--live"]).await;
    assert!(mistaken.stderr.contains("keys: AWS takes its credentials for"), "{}", mistaken.stderr);
}

#[tokio::test]
async fn check_live_unknown_owner_fails() {
    let nowhere =
        shell_with_keys().env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_MAX_ATTEMPTS", "1");
    let ended = nowhere.file("valetkey.toml", SETTINGS).run(&["check", "--live"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("keys: caller-identity: GetCallerIdentity reached nobody"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn check_live_invalid_settings_send_no_request() {
    let ended = Shell::new().file("valetkey.toml", "stray = 1\n").run(&["check", "--live"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
}
