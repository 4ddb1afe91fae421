//! `DefaultChainProvider` and `ProfileProvider`, in child processes with their own environment and files.

mod profiles_fixture;
mod retries;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use valetkey_backends::{DefaultChainProvider, ProfileProvider};
use valetkey_core::testing::CapturedLogs;
use valetkey_core::{CredentialProvider, Error, ErrorKind};

use crate::region;

const OTHER_KEY_ID: &str = "AKIAI44QH8DHBEXAMPLE";
const SETTINGS: &str = "\
[default]
region = eu-north-1
[profile keys]
aws_access_key_id = AKIAI44QH8DHBEXAMPLE
aws_secret_access_key = of-the-profile
region = eu-west-3
[profile printed]
credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIAI44QH8DHBEXAMPLE\",\"SecretAccessKey\":\"printed\"}'
[profile broken]
role_arn = arn:aws:iam::111111111111:role/agent
source_profile = hunter2
[profile failing]
credential_process = echo hunter2; echo hunter2 >&2; exit 3
[profile sign-on]
sso_start_url = https://example.com/hunter2
sso_region = us-east-1
sso_account_id = 111111111111
sso_role_name = agent
[sso-session work]
sso_start_url = https://example.com/hunter2
sso_region = us-east-1
[profile sso-session]
sso_session = work
sso_account_id = 111111111111
sso_role_name = agent
[profile console]
login_session = arn:aws:iam::111111111111:user/hunter2
[profile role-of-console]
role_arn = arn:aws:iam::222222222222:role/agent
source_profile = console
";

/// A folder that is `HOME` to the other half of a test, with these settings in it.
fn home_with(settings: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".aws")).unwrap();
    fs::write(folder.path().join(".aws/config"), settings).unwrap();
    folder
}

fn settings_file() -> PathBuf {
    Path::new(&std::env::var_os("HOME").unwrap()).join(".aws/config")
}

fn run_with_home(home: &TempDir, test: &str, more: &[(&str, &str)]) {
    let common = [
        ("HOME", home.path().to_str().unwrap()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("PATH", "/usr/bin:/bin"),
    ];
    crate::run_in_child_process(test, &[&common[..], more].concat());
}

async fn failure(provider: impl CredentialProvider) -> Error {
    let error = provider.provide().await.unwrap_err();
    assert_eq!(error.provider().unwrap(), provider.name());
    assert!(error.next_step().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    error
}

#[tokio::test]
#[ignore = "the other half of the next test, which makes its environment"]
async fn child_process_with_keys_and_profiles() {
    let chain = DefaultChainProvider::new();
    let ambient = chain.provide().await.unwrap();
    assert_eq!(ambient.access_key_id().as_str(), crate::KEY_ID, "the environment comes first");
    assert_eq!(
        (ambient.provider(), ambient.environment_region().unwrap().as_str()),
        ("default-chain", "eu-north-1")
    );
    assert_eq!(ambient.region(), None, "the environment's region gives way to that of the session");
    let named = chain.region(region("us-west-2")).provide().await.unwrap();
    assert_eq!(named.region().unwrap().as_str(), "us-west-2");

    let keys = ProfileProvider::new("keys").provide().await.unwrap();
    assert_eq!(keys.access_key_id().as_str(), OTHER_KEY_ID, "a profile is not the environment");
    assert_eq!(keys.expose_secret_access_key(), "of-the-profile");
    assert_eq!((keys.provider(), keys.region().unwrap().as_str()), ("profile", "eu-west-3"));
    let printed = ProfileProvider::new("printed").provide().await.unwrap();
    assert_eq!(printed.expose_secret_access_key(), "printed");
    assert!(printed.region().is_none());

    for (profile, kind) in [
        ("hunter2", ErrorKind::Invalid),
        ("default", ErrorKind::Invalid),
        ("broken", ErrorKind::Invalid),
        ("failing", ErrorKind::Unavailable),
    ] {
        let error = failure(ProfileProvider::new(profile)).await;
        assert_eq!(error.kind(), kind, "{profile}: {error}");
        if kind == ErrorKind::Invalid {
            assert_eq!(error.field(), Some("profile"), "{error}");
        }
    }
    for (profile, command) in [
        ("sign-on", "`aws sso login --profile sign-on`"),
        ("sso-session", "`aws sso login --profile sso-session`"),
        ("console", "`aws login --profile console`"),
        ("role-of-console", "`aws login --profile console`"),
    ] {
        let error = failure(ProfileProvider::new(profile)).await;
        assert_eq!(error.kind(), ErrorKind::InteractionRequired, "{profile}: {error}");
        assert!(error.next_step().unwrap().contains(command), "{profile}: {error}");
        let checked = ProfileProvider::new(profile).check_sign_in().await.unwrap_err();
        assert_eq!(checked.to_string(), error.to_string());
    }
    for profile in ["keys", "printed", "broken", "hunter2"] {
        ProfileProvider::new(profile).check_sign_in().await.unwrap();
    }
    DefaultChainProvider::new().check_sign_in().await.unwrap();
}

#[test]
fn ambient_chain_and_profiles_match_sdk_without_fallback() {
    let keys = [("AWS_ACCESS_KEY_ID", crate::KEY_ID), ("AWS_SECRET_ACCESS_KEY", "the-hosts-own")];
    run_with_home(&home_with(SETTINGS), "ambient::child_process_with_keys_and_profiles", &keys);
}

#[tokio::test]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_signed_in_console_profile() {
    let keys = ProfileProvider::new("console").provide().await.unwrap();
    assert_eq!(
        (keys.access_key_id().as_str(), keys.expose_session_token()),
        (OTHER_KEY_ID, Some("of-the-sign-in"))
    );
    assert_eq!(keys.account_id().unwrap().as_str(), "111111111111");
    ProfileProvider::new("console").check_sign_in().await.unwrap();
    let of_profile = ProfileProvider::new("ended").check_sign_in().await;
    for result in [of_profile, DefaultChainProvider::new().check_sign_in().await] {
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InteractionRequired, Some("profile")),
            "{error}"
        );
    }
    let error = failure(ProfileProvider::new("ended")).await;
    assert_eq!(error.kind(), ErrorKind::InteractionRequired, "{error}");
    assert!(error.next_step().unwrap().contains("`aws sso login --profile ended`"), "{error}");
    std::env::var("AWS_PROFILE").unwrap();
    let error = failure(DefaultChainProvider::new()).await;
    assert!(error.next_step().unwrap().contains("`aws sso login --profile ended`"), "{error}");
}

/// The caches are those that `aws login` and `aws sso login` leave, named after digests of the session.
#[test]
fn ambient_valid_sign_in_used_expired_one_named() {
    let home = home_with(
        "[profile console]\nlogin_session = arn:aws:iam::0123456789012:user/Admin\n\
         [sso-session work]\nsso_start_url = https://example.com\nsso_region = us-east-1\n\
         [profile ended]\nsso_session = work\nsso_account_id = 111111111111\nsso_role_name = agent\n",
    );
    let login = home.path().join(".aws/login/cache");
    fs::create_dir_all(&login).unwrap();
    let token = format!(
        r#"{{"accessToken":{{"accessKeyId":"{OTHER_KEY_ID}","secretAccessKey":"s","sessionToken":"of-the-sign-in","accountId":"111111111111","expiresAt":"2099-01-01T00:00:00Z"}},"tokenType":"aws_sigv4","refreshToken":"r","identityToken":"i","clientId":"c","dpopKey":"k"}}"#
    );
    fs::write(login.join("36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json"), token)
        .unwrap();
    let sso = home.path().join(".aws/sso/cache");
    fs::create_dir_all(&sso).unwrap();
    let token = r#"{"accessToken":"hunter2","expiresAt":"2020-01-01T00:00:00Z","region":"us-east-1","startUrl":"https://example.com"}"#;
    fs::write(sso.join("e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json"), token).unwrap();
    run_with_home(
        &home,
        "ambient::child_process_with_signed_in_console_profile",
        &[("AWS_PROFILE", "ended")],
    );
}

#[tokio::test]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_blank_session_tokens() {
    let profile = ProfileProvider::new("blank").provide().await.unwrap();
    assert_eq!((profile.expose_secret_access_key(), profile.has_session_token()), ("of-the-profile", false));
    let endpoint = DefaultChainProvider::new().provide().await.unwrap();
    assert_eq!(
        (endpoint.expose_secret_access_key(), endpoint.has_session_token()),
        ("of-the-endpoint", false)
    );
}

/// The endpoint that valetkey gives its children sends `"Token": ""` for long-lived keys.
#[tokio::test]
async fn ambient_credentials_with_blank_token_have_none() {
    let keys = format!(
        r#"{{"AccessKeyId":"{OTHER_KEY_ID}","SecretAccessKey":"of-the-endpoint","Token":"","Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    let endpoint = crate::loopback_fixture::LoopbackFixture::responding(200, keys).await;
    let url = endpoint.url().to_owned();
    let blank = format!(
        "[profile blank]\naws_access_key_id = {OTHER_KEY_ID}\naws_secret_access_key = of-the-profile\naws_session_token =\n"
    );
    tokio::task::spawn_blocking(move || {
        let endpoint = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())];
        run_with_home(&home_with(&blank), "ambient::child_process_with_blank_session_tokens", &endpoint);
    })
    .await
    .unwrap();
}

#[tokio::test]
#[ignore = "the other half of the next test, which makes its environment"]
async fn child_process_with_canary_keys() {
    let secret = std::env::var("AWS_SECRET_ACCESS_KEY").unwrap();
    let settings = format!(
        "[profile keys]\naws_access_key_id = {OTHER_KEY_ID}\naws_secret_access_key = {secret}\n\
         [profile printed]\ncredential_process = cat \"$HOME/printed\"\n\
         [profile failing]\ncredential_process = cat \"$HOME/printed\"; exit 1\n"
    );
    let printed = format!(r#"{{"Version":1,"AccessKeyId":"{OTHER_KEY_ID}","SecretAccessKey":"{secret}"}}"#);
    fs::write(settings_file().parent().unwrap().with_file_name("printed"), printed).unwrap();
    fs::write(settings_file(), settings).unwrap();
    let logs = CapturedLogs::default();
    tracing::subscriber::set_global_default(logs.subscriber()).unwrap();
    let mut text = String::new();
    let providers: [&dyn CredentialProvider; 3] =
        [&DefaultChainProvider::new(), &ProfileProvider::new("keys"), &ProfileProvider::new("printed")];
    for provider in providers {
        let set = provider.provide().await.unwrap();
        assert_eq!(set.expose_secret_access_key(), secret);
        text.push_str(&format!("{provider:?} {set:?}"));
    }
    let error = ProfileProvider::new("failing").provide().await.unwrap_err();
    text.push_str(&format!("{error} {error:?} {}", logs.text()));
    assert!(text.contains("aws_config"), "the SDK was listened to: {text}");
    assert!(!text.contains(&secret), "{text}");
}

#[test]
fn ambient_credentials_are_not_logged() {
    let keys = [("AWS_ACCESS_KEY_ID", crate::KEY_ID), ("AWS_SECRET_ACCESS_KEY", "a-mark-of-this-test")];
    run_with_home(&home_with(""), "ambient::child_process_with_canary_keys", &keys);
}

#[tokio::test]
#[ignore = "the other half of the next test, which makes its environment"]
async fn child_process_with_changing_settings() {
    let (chain, profile) = (DefaultChainProvider::new(), ProfileProvider::new("late"));
    for _ in 0..2 {
        assert_eq!(failure(chain.clone()).await.kind(), ErrorKind::NotConfigured);
        assert_eq!(failure(profile.clone()).await.kind(), ErrorKind::Invalid);
    }
    for secret in ["first", "second"] {
        let keys = format!("aws_access_key_id = {OTHER_KEY_ID}\naws_secret_access_key = {secret}\n");
        fs::write(settings_file(), format!("[default]\n{keys}[profile late]\n{keys}")).unwrap();
        for provider in [&chain as &dyn CredentialProvider, &profile] {
            assert_eq!(provider.provide().await.unwrap().expose_secret_access_key(), secret);
        }
    }
    fs::write(settings_file(), "[profile late\nhunter2").unwrap();
    assert_eq!(failure(profile).await.kind(), ErrorKind::Invalid);
}

#[test]
fn ambient_changed_settings_apply_at_next_fetch() {
    run_with_home(&home_with(""), "ambient::child_process_with_changing_settings", &[]);
}
