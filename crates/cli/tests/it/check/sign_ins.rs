//! Accounts that lead to profiles whose sign-in ended: each names the command that renews it, with `--live` and without.

use std::fs;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use valetkey_core::{Clock, Expiry, SystemClock};

use super::CANARY;
use crate::aws_fixture::{AwsFixture, FixedResponseFixture};
use crate::exec::{KEY_ID, SECRET};
use crate::program_fixture::{ProgramFixture, ProgramOutput};

const CONFIG: &str = "\
[default]
region = us-east-1
[sso-session work]
sso_start_url = https://example.com/start
sso_region = us-east-1
[profile session]
sso_session = work
sso_account_id = 111111111111
sso_role_name = agent
[profile url]
sso_start_url = https://example.com/start
sso_region = us-east-1
sso_account_id = 111111111111
sso_role_name = agent
[profile console]
login_session = arn:aws:iam::0123456789012:user/Admin
[profile role-of-session]
role_arn = arn:aws:iam::222222222222:role/agent
source_profile = session
[profile role-of-url]
role_arn = arn:aws:iam::222222222222:role/agent
source_profile = url
[profile role-of-console]
role_arn = arn:aws:iam::222222222222:role/agent
source_profile = console
[profile role-of-role]
role_arn = arn:aws:iam::333333333333:role/agent
source_profile = role-of-console
[profile keys]
aws_access_key_id = AKIAPROFILE00000PROF
aws_secret_access_key = canary-of-the-profile
sso_start_url = https://example.com/ignored
[profile role-of-keys]
role_arn = arn:aws:iam::222222222222:role/agent
source_profile = keys
";

/// Profiles with the command that renews the sign-in of each.
const SIGN_INS: [(&str, &str); 7] = [
    ("session", "aws sso login --profile session"),
    ("url", "aws sso login --profile url"),
    ("console", "aws login --profile console"),
    ("role-of-session", "aws sso login --profile session"),
    ("role-of-url", "aws sso login --profile url"),
    ("role-of-console", "aws login --profile console"),
    ("role-of-role", "aws login --profile console"),
];

/// Named after digests of `work`, of the start URL and of the ARN of the console session.
const CACHES: [&str; 3] = [
    ".aws/sso/cache/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json",
    ".aws/sso/cache/b343494cf15ba6b81449840ea93161cf3b27e5e3.json",
    ".aws/login/cache/36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json",
];

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2099-01-01T00:00:00Z";

/// An account for each of the profiles, three lines each, and an AWS that cannot be reached.
fn fixture(profiles: impl IntoIterator<Item = &'static str>) -> ProgramFixture {
    let account = |profile: &str| format!("[accounts.{profile}]\nprovider = 'profile'\nname = '{profile}'\n");
    let settings: String = profiles.into_iter().map(account).collect();
    let fixture = ProgramFixture::new().file("valetkey.toml", settings).file("aws-config", CONFIG);
    let config = fixture.path("aws-config");
    for folder in [".aws/sso/cache", ".aws/login/cache"] {
        fs::create_dir_all(fixture.path(folder)).unwrap();
    }
    fixture
        .env("AWS_CONFIG_FILE", config)
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
}

fn all() -> ProgramFixture {
    fixture(SIGN_INS.map(|(profile, _)| profile))
}

/// What `aws sso login` leaves behind.
fn sso_token(expires_at: &str) -> Value {
    json!({"accessToken": CANARY, "expiresAt": expires_at, "region": "us-east-1",
        "startUrl": "https://example.com/start"})
}

/// The same with what the SDK needs to renew it until `registered_until`.
fn renewable(expires_at: &str, registered_until: &str) -> Value {
    let mut token = sso_token(expires_at);
    token["clientId"] = CANARY.into();
    token["clientSecret"] = CANARY.into();
    token["refreshToken"] = CANARY.into();
    token["registrationExpiresAt"] = registered_until.into();
    token
}

/// What `aws login` leaves behind. The key that proves possession is a number that no one could take for a secret.
fn login_token(expires_at: &str) -> Value {
    let key = "MCUCAQEEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
    let label = "EC PRIVATE KEY-----";
    json!({
        "accessToken": {"accessKeyId": KEY_ID, "secretAccessKey": SECRET, "sessionToken": CANARY,
            "accountId": "111111111111", "expiresAt": expires_at},
        "tokenType": "aws_sigv4", "refreshToken": CANARY, "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": format!("-----BEGIN {label}\n{key}\n-----END {label}\n"),
    })
}

fn signed_in(fixture: ProgramFixture, tokens: [Value; 3]) -> ProgramFixture {
    let files = CACHES.into_iter().zip(tokens);
    files.fold(fixture, |fixture, (file, token)| fixture.file(file, token.to_string()))
}

fn signed_out(fixture: ProgramFixture) -> ProgramFixture {
    signed_in(fixture, [sso_token(PAST), sso_token(PAST), login_token(PAST)])
}

/// The credentials of `aws login` have expired, as they do every 15 minutes, and are renewed at the next use.
fn usable(fixture: ProgramFixture) -> ProgramFixture {
    let an_hour_ago = Expiry::At(SystemClock.now() - Duration::from_secs(3_600)).to_string();
    signed_in(fixture, [renewable(PAST, FUTURE), sso_token(FUTURE), login_token(&an_hour_ago)])
}

/// The same fixture with an AWS that responds with this alone.
fn with_aws(fixture: ProgramFixture, aws: &FixedResponseFixture) -> ProgramFixture {
    fixture.env("AWS_ENDPOINT_URL", aws.url())
}

/// What was reported of each account, which must be no secret.
fn errors(output: &ProgramOutput) -> Vec<&str> {
    assert_eq!((output.code, output.stdout.lines().count()), (Some(1), 2), "{output:?}");
    assert!(
        !output.combined_output().contains(CANARY) && !output.combined_output().contains(SECRET),
        "{output:?}"
    );
    output.stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect()
}

/// The warnings of a check that passed.
fn warnings(output: &ProgramOutput) -> Vec<&str> {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!output.combined_output().contains(CANARY), "{output:?}");
    output.stderr.lines().map(|line| line.strip_prefix("warning: ").unwrap()).collect()
}

fn every_command_is_named(output: &ProgramOutput) {
    let errors = errors(output);
    assert_eq!(errors.len(), SIGN_INS.len(), "{}", output.stderr);
    for (profile, command) in SIGN_INS {
        let start = format!("{profile}: profile: ");
        let line = errors.iter().find(|line| line.starts_with(&start)).unwrap();
        assert!(
            line.contains("the sign-in of the profile ended") && line.contains(&format!("run `{command}`")),
            "{line}"
        );
    }
}

#[tokio::test]
async fn check_live_with_missing_sign_ins_names_each_command() {
    every_command_is_named(&all().run(&["check", "--live"]).await);
}

#[tokio::test]
async fn check_live_with_expired_sign_ins_names_each_command() {
    every_command_is_named(&signed_out(all()).run(&["check", "--live"]).await);
    let registration_ended = [renewable(PAST, PAST), sso_token(PAST), login_token(PAST)];
    every_command_is_named(&signed_in(all(), registration_ended).run(&["check", "--live"]).await);
}

#[tokio::test]
async fn check_live_with_sign_ins_ended_at_aws_names_each_command() {
    let code = |path: &str| match path {
        "/v1/token" => "AccessDeniedException",
        _ => "UnauthorizedException",
    };
    let aws =
        FixedResponseFixture::start(401, code, json!({"message": CANARY, "error": "TOKEN_EXPIRED"})).await;
    every_command_is_named(&with_aws(usable(all()), &aws).run(&["check", "--live"]).await);
    let requested = aws.requested();
    for path in ["/federation/credentials", "/v1/token"] {
        assert!(requested.iter().any(|requested| requested == path), "{path}: {requested:?}");
    }
}

#[tokio::test]
async fn check_live_with_aws_in_trouble_names_no_sign_in() {
    let trouble = json!({"message": CANARY, "error": "SERVER_ERROR"});
    let throttling = FixedResponseFixture::start(429, |_| "TooManyRequestsException", &trouble).await;
    let slowing = FixedResponseFixture::start(429, |_| "TooManyRequestsError", &trouble).await;
    let failing = FixedResponseFixture::start(500, |_| "InternalServerException", &trouble).await;
    let reached = [&throttling, &slowing, &failing].map(|aws| with_aws(usable(all()), aws));
    for fixture in reached.into_iter().chain([usable(all())]) {
        let output = fixture.run(&["check", "--live"]).await;
        let errors = errors(&output);
        assert_eq!(errors.len(), SIGN_INS.len(), "{}", output.stderr);
        assert!(errors.iter().all(|line| line.contains("try again later")), "{}", output.stderr);
        assert!(!output.stderr.contains("login"), "{}", output.stderr);
    }
}

#[tokio::test]
async fn check_live_with_credentials_that_break_off_logs_none() {
    let credentials =
        format!(r#"{{"roleCredentials": {{"accessKeyId": "{CANARY}", "secretAccessKey": "{CANARY}"#);
    let aws = FixedResponseFixture::start(200, |_| "", credentials).await;
    let fixture = with_aws(usable(fixture(["session", "url"])), &aws);
    for level in ["warn", "trace"] {
        assert_eq!(errors(&fixture.run(&["--log", level, "check", "--live"]).await).len(), 2);
    }
    assert!(!aws.requested().is_empty());
}

#[tokio::test]
async fn check_with_ended_sign_ins_warns_with_each_command() {
    for fixture in [all(), signed_out(all())] {
        let aws = AwsFixture::start().await;
        let output = fixture.env("AWS_ENDPOINT_URL", aws.url()).run(&["check"]).await;
        let warnings = warnings(&output);
        assert!(output.stdout.starts_with("no faults; accounts: 7, "), "{}", output.stdout);
        assert_eq!(warnings.len(), SIGN_INS.len(), "{}", output.stderr);
        for (index, (profile, command)) in SIGN_INS.into_iter().enumerate() {
            let line = 3 * index + 3;
            let expected = format!(
                "valetkey.toml:{line}: [accounts.{profile}] `name` leads to a profile whose sign-in ended, or was \
                 never made; run `{command}`, then refresh the account"
            );
            assert!(warnings.contains(&expected.as_str()), "{expected}\n{}", output.stderr);
        }
        assert_eq!(aws.received_credentials(), "", "AWS was called");
    }
}

#[tokio::test]
async fn check_with_usable_sign_ins_warns_of_none() {
    let profiles = SIGN_INS.into_iter().map(|(profile, _)| profile).chain(["role-of-keys"]);
    let fixture = usable(fixture(profiles));
    assert_eq!(warnings(&fixture.run(&["check"]).await), [""; 0]);
    fs::rename(fixture.path(".aws/login/cache"), fixture.path("elsewhere")).unwrap();
    assert_eq!(warnings(&fixture.run(&["check"]).await).len(), 3);
    let elsewhere = fixture.path("elsewhere");
    assert_eq!(warnings(&fixture.env("AWS_LOGIN_CACHE_DIRECTORY", elsewhere).run(&["check"]).await), [""; 0]);
}

#[tokio::test]
async fn check_with_odd_sign_in_caches_warns_without_waiting() {
    let fixture =
        signed_in(fixture(["session", "url", "console"]), ["".into(), json!([]), json!({"accessToken": {}})]);
    assert_eq!(warnings(&fixture.run(&["check"]).await).len(), 3);
    let fixture = fixture.file(CACHES[1], format!("{}{}", " ".repeat(256 * 1024), sso_token(FUTURE)));
    fs::remove_file(fixture.path(CACHES[0])).unwrap();
    mknodat(CWD, fixture.path(CACHES[0]), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::remove_file(fixture.path(CACHES[2])).unwrap();
    fs::create_dir(fixture.path(CACHES[2])).unwrap();
    assert_eq!(warnings(&fixture.run(&["check"]).await).len(), 3);
}

#[tokio::test]
async fn check_ambient_profile_warns_of_sign_in_without_keys() {
    let fixture = signed_out(fixture([])).file("valetkey.toml", "[accounts.here]\nprovider = 'ambient'\n");
    let fixture = fixture.env("AWS_PROFILE", "role-of-session").env("AWS_EC2_METADATA_DISABLED", "true");
    let output = fixture.run(&["check"]).await;
    let lines = warnings(&output);
    assert!(lines[0].starts_with("valetkey.toml:1: [accounts.here] leads to a profile"), "{lines:?}");
    assert!(lines[0].contains("`aws sso login --profile session`"), "{lines:?}");
    let live = fixture.run(&["check", "--live"]).await;
    assert!(live.stderr.contains("here: default-chain: "), "{}", live.stderr);
    assert!(live.stderr.contains("`aws sso login --profile session`"), "{}", live.stderr);
    let keys = fixture.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    assert_eq!(warnings(&keys.run(&["check"]).await), [""; 0]);
}
