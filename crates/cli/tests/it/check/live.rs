//! `check --live`: reports the identity or the error of each account, and no secret.

use crate::aws_fixture::AwsFixture;
use crate::exec::{SECRET, TOKEN, fixture_with_keys};
use crate::program_fixture::ProgramFixture;

/// A fixture with keys, and a fake AWS that accepts every key.
fn fixture_for(aws: &AwsFixture) -> ProgramFixture {
    fixture_with_keys().env("AWS_ENDPOINT_URL", aws.url())
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
    let aws = AwsFixture::start().await;
    let output = fixture_for(&aws).file("valetkey.toml", SETTINGS).run(&["check", "--live"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let expected = "keys: …MPLE from environment, account 111111111111, eu-central-1, until never, as \
                arn:aws:iam::111111111111:user/MPLE\n";
    assert!(output.stdout.contains(expected), "{}", output.stdout);
    assert!(output.stdout.contains("given: no credentials are set"), "{}", output.stdout);
    assert!(!output.stdout.contains(SECRET) && !output.stdout.contains(TOKEN));
}

#[tokio::test]
async fn check_live_failing_account_does_not_hide_others() {
    let settings = format!(
        "{SETTINGS}[accounts.role]\nprovider = 'assume-role'\nsource = 'given'\n\
         role_arn = 'arn:aws:iam::111111111111:role/agent'\n"
    );
    let aws = AwsFixture::start().await;
    let output = fixture_for(&aws).file("valetkey.toml", settings).run(&["check", "--live"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("keys: …MPLE"), "{}", output.stdout);
    assert!(output.stderr.contains("role: assume-role: "), "{}", output.stderr);
}

#[tokio::test]
async fn check_live_keys_of_wrong_account_fail() {
    let aws = AwsFixture::start().await;
    let role = |name: &str, account: &str| {
        format!(
            "[accounts.{name}]\nprovider = 'assume-role'\nsource = 'keys'\n\
             role_arn = 'arn:aws:iam::{account}:role/agent'\n"
        )
    };
    let settings = format!("{SETTINGS}{}{}", role("right", "111111111111"), role("wrong", "222222222222"));
    let fixture = fixture_for(&aws).file("valetkey.toml", settings);
    let output = fixture.run(&["check", "--live"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("right: …"), "{}", output.stdout);
    let expected = "wrong: AWS takes its credentials for arn:aws:iam::111111111111:user/";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
    assert!(output.stderr.contains("its role is of account 222222222222"), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);

    let mistaken = fixture.env("AWS_ACCOUNT_ID", "333333333333").run(&["check", "--live"]).await;
    assert!(mistaken.stderr.contains("keys: AWS takes its credentials for"), "{}", mistaken.stderr);
}

#[tokio::test]
async fn check_live_unknown_owner_fails() {
    let nowhere =
        fixture_with_keys().env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_MAX_ATTEMPTS", "1");
    let output = nowhere.file("valetkey.toml", SETTINGS).run(&["check", "--live"]).await;
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("keys: caller-identity: GetCallerIdentity could not reach"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn check_live_invalid_settings_send_no_request() {
    let output = ProgramFixture::new().file("valetkey.toml", "stray = 1\n").run(&["check", "--live"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""));
}

const PROFILES: &str = "\
[sso-session work]
sso_start_url = https://example.com
sso_region = us-east-1
[profile ended]
sso_session = work
sso_account_id = 111111111111
sso_role_name = agent
[profile legacy]
sso_start_url = https://example.com/start
sso_region = us-east-1
sso_account_id = 111111111111
sso_role_name = agent
[profile console]
login_session = arn:aws:iam::111111111111:user/ana
[profile role-of-console]
role_arn = arn:aws:iam::222222222222:role/agent
source_profile = console
";

/// The cache file of `aws sso login` for the session `work`, named after the digest of the session's name.
const SSO_CACHE: &str = "e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json";

#[tokio::test]
async fn check_live_ended_sign_in_names_its_command() {
    let accounts = ["ended", "legacy", "console", "role-of-console"]
        .map(|profile| format!("[accounts.{profile}]\nprovider = 'profile'\nname = '{profile}'\n"));
    let settings = format!("[session]\ndefault_account = 'ended'\n{}", accounts.concat());
    let fixture = ProgramFixture::new().file("aws-config", PROFILES).file("valetkey.toml", settings);
    let config = fixture.path("aws-config");
    let cache = fixture.path(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = format!(
        r#"{{"accessToken":"{SECRET}","expiresAt":"2020-01-01T00:00:00Z","region":"us-east-1","startUrl":"https://example.com"}}"#
    );
    std::fs::write(cache.join(SSO_CACHE), token).unwrap();

    let output = fixture.env("AWS_CONFIG_FILE", config).run(&["check", "--live"]).await;
    assert_eq!(output.code, Some(1), "{}", output.combined_output());
    for (account, command) in [
        ("ended", "`aws sso login --profile ended`"),
        ("legacy", "`aws sso login --profile legacy`"),
        ("console", "`aws login --profile console`"),
        ("role-of-console", "`aws login --profile console`"),
    ] {
        let line = output.stderr.lines().find(|line| line.contains(&format!("{account}: ")));
        assert!(line.is_some_and(|line| line.contains(command)), "{account}: {}", output.combined_output());
    }
    assert!(!output.combined_output().contains(SECRET));
}
