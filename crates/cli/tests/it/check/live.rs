//! `check --live`: what each account got, or why not, and no secret.

use crate::exec::{SECRET, TOKEN, with_keys};
use crate::shell::Shell;

const SETTINGS: &str = "\
[session]
region = 'eu-central-1'
[accounts.keys]
provider = 'environment'
[accounts.given]
provider = 'memory'
";

#[tokio::test]
async fn every_account_says_what_it_got() {
    let ended = with_keys().file("valetkey.toml", SETTINGS).run(&["check", "--live"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(
        ended.stdout.contains("keys: …MPLE from environment, eu-central-1, until never"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("given: nothing is set"), "{}", ended.stdout);
    assert!(!ended.stdout.contains(SECRET) && !ended.stdout.contains(TOKEN));
}

#[tokio::test]
async fn one_account_that_fails_does_not_hide_the_others() {
    let settings = format!(
        "{SETTINGS}[accounts.role]\nprovider = 'assume-role'\nsource = 'given'\n\
         role_arn = 'arn:aws:iam::111111111111:role/agent'\n"
    );
    let ended = with_keys().file("valetkey.toml", settings).run(&["check", "--live"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("keys: …MPLE"), "{}", ended.stdout);
    assert!(ended.stderr.contains("role: assume-role: "), "{}", ended.stderr);
}

#[tokio::test]
async fn nobody_is_asked_when_the_file_is_at_fault() {
    let ended = Shell::new().file("valetkey.toml", "stray = 1\n").run(&["check", "--live"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
}
