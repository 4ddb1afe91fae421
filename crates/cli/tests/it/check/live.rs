//! `check --live`: reports the identity or the error of each account, and no secret.

use crate::cloud::CarelessCloud;
use crate::exec::{SECRET, TOKEN, shell_with_keys};
use crate::shell::Shell;

/// A shell with keys, and a fake AWS that accepts every key.
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
    let expected = "keys: …MPLE from environment, account 111111111111, eu-central-1, until never, as \
                arn:aws:iam::111111111111:user/MPLE\n";
    assert!(ended.stdout.contains(expected), "{}", ended.stdout);
    assert!(ended.stdout.contains("given: no credentials are set"), "{}", ended.stdout);
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
    let expected = "wrong: AWS takes its credentials for arn:aws:iam::111111111111:user/";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
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
        ended.stderr.contains("keys: caller-identity: GetCallerIdentity could not reach"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn check_live_invalid_settings_send_no_request() {
    let ended = Shell::new().file("valetkey.toml", "stray = 1\n").run(&["check", "--live"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
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
    let shell = Shell::new().file("aws-config", PROFILES).file("valetkey.toml", settings);
    let config = shell.path("aws-config");
    let cache = shell.path(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = format!(
        r#"{{"accessToken":"{SECRET}","expiresAt":"2020-01-01T00:00:00Z","region":"us-east-1","startUrl":"https://example.com"}}"#
    );
    std::fs::write(cache.join(SSO_CACHE), token).unwrap();

    let output = shell.env("AWS_CONFIG_FILE", config).run(&["check", "--live"]).await;
    assert_eq!(output.code, Some(1), "{}", output.said());
    for (account, command) in [
        ("ended", "`aws sso login --profile ended`"),
        ("legacy", "`aws sso login --profile legacy`"),
        ("console", "`aws login --profile console`"),
        ("role-of-console", "`aws login --profile console`"),
    ] {
        let line = output.stderr.lines().find(|line| line.contains(&format!("{account}: ")));
        assert!(line.is_some_and(|line| line.contains(command)), "{account}: {}", output.said());
    }
    assert!(!output.said().contains(SECRET));
}
