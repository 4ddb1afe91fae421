//! The accounts of principals: errors are reported at their lines, and a missing principal is reported.

use super::assert_diagnostics;
use crate::aws_fixture::AwsFixture;
use crate::exec::fixture_with_keys;
use crate::program_fixture::ProgramFixture;

const ACCOUNTS: &str = "[accounts.dev]\nprovider = 'environment'\n[accounts.prod]\nprovider = 'environment'\n\
                        [accounts.root]\nprovider = 'environment'\n";
const PRINCIPALS: &str = "[principals.alice]\naccounts = ['dev', 'prod', 'root']\n\
                          [principals.'bob@example.com']\naccounts = ['dev']\n";

/// A fixture whose settings allow two accounts for all principals.
fn fixture() -> ProgramFixture {
    let session = "[session]\ndefault_account = 'prod'\nallowed_accounts = ['dev', 'prod']\n";
    fixture_with_keys().file("valetkey.toml", format!("{session}{ACCOUNTS}{PRINCIPALS}"))
}

#[tokio::test]
async fn check_invalid_principals_report_their_lines() {
    assert_diagnostics(
        r#"[session]
principal = "mallory"                   #! [session] `principal` is none of the principals; act for one of:
allowed_accounts = ["dev"]
[accounts.dev]
provider = "memory"
[accounts.prod]
provider = "memory"
[principals." ab"]                      #! [principals. ab] `name` must be 1 to 256
accounts = ["dev"]
[principals.dave]
accounts = []                           #! [principals.dave] `accounts` must name one account at least
[principals.other]
accounts = ["dev", "canary"]            #! [principals.other] `accounts` holds what is not one of the accounts; name
[principals.shut]
accounts = ["prod"]                     #! [principals.shut] `accounts` has none of the `allowed_accounts`
[principals.stray]
accounts = ["dev"]
role = "canary"                         #! [principals.stray] unknown field `role`
[principals.less]                       #! [principals.less] `accounts` must name one account at least
"#,
    )
    .await;
}

#[tokio::test]
async fn exec_accounts_are_limited_to_principal_and_allow_list() {
    let fixture = fixture();
    let run = async |principal: &str, account: &str| {
        fixture.run(&["exec", "--principal", principal, "--account", account, "--", "echo", "ran"]).await
    };
    for (principal, account, runs) in [
        ("alice", "dev", true),
        ("alice", "prod", true),
        ("alice", "root", false),
        ("bob@example.com", "dev", true),
        ("bob@example.com", "prod", false),
        ("bob@example.com", "root", false),
    ] {
        let output = run(principal, account).await;
        assert_eq!(output.stdout == "ran\n", runs, "{principal} {account}: {}", output.stderr);
        assert!(runs || output.stderr.contains("use one of: "), "{}", output.stderr);
    }
    let output = fixture.run(&["exec", "--principal", "bob@example.com", "--", "echo", "ran"]).await;
    assert_eq!(output.stdout, "ran\n", "the first that bob may have is bob's default: {}", output.stderr);
}

#[tokio::test]
async fn exec_unknown_or_missing_principal_fails() {
    let fixture = fixture();
    for (options, expected) in [
        (
            &["--principal", "mallory"][..],
            "is none of the principals; act for one of: alice, bob@example.com",
        ),
        (&[], "needs a principal; name with `--principal` one of: alice, bob@example.com"),
    ] {
        let output = fixture.run(&[&["exec"], options, &["--", "echo", "ran"]].concat()).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""));
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
    let output = fixture.run(&["check"]).await;
    assert_eq!(output.code, Some(0), "the principal is chosen when the session runs: {}", output.stderr);
    assert_eq!(fixture.run(&["check", "--principal", "mallory"]).await.code, Some(78));
}

#[tokio::test]
async fn check_server_account_not_of_principal_is_reported() {
    let aws = AwsFixture::start().await;
    let text = format!("{ACCOUNTS}{PRINCIPALS}[servers.aws]\naccount = 'prod'\n");
    let fixture = ProgramFixture::new().file("valetkey.toml", text).env("AWS_ENDPOINT_URL", aws.url());
    assert_eq!(fixture.run(&["check", "--principal", "alice"]).await.code, Some(0));
    let output = fixture.run(&["check", "--principal", "bob@example.com"]).await;
    assert_eq!(output.code, Some(78));
    let expected = "[servers.aws] `account` is not one of the `accounts` of the session's principal";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}
