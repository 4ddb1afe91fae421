//! Environment: what each combination of variables means.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use valetkey_backends::EnvProvider;
use valetkey_core::testing::ManualClock;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Result};

const PAIR: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", crate::KEY_ID), ("AWS_SECRET_ACCESS_KEY", "hunter2")];

fn provider(variables: &[(&str, &str)]) -> EnvProvider {
    let variables: BTreeMap<String, OsString> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    EnvProvider::new(move |name| variables.get(name).cloned()).clock(Arc::new(ManualClock::new()))
}

async fn read(variables: &[(&str, &str)]) -> Result<Credentials> {
    provider(variables).provide().await
}

async fn with_pair(more: &[(&str, &str)]) -> Result<Credentials> {
    read(&[&PAIR[..], more].concat()).await
}

#[tokio::test]
async fn env_every_variable_maps_to_its_field() {
    let credentials = with_pair(&[
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_CREDENTIAL_EXPIRATION", "2026-11-21T13:00:00Z"),
        ("AWS_ACCOUNT_ID", "111111111111"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "us-west-2"),
    ])
    .await
    .unwrap();
    assert_eq!(credentials.access_key_id().as_str(), crate::KEY_ID);
    assert_eq!(credentials.expose_secret_access_key(), "hunter2");
    assert_eq!(credentials.expose_session_token(), Some("token"));
    assert_eq!(credentials.expiry().to_string(), "2026-11-21T13:00:00Z");
    assert_eq!(credentials.account_id().unwrap().as_str(), "111111111111");
    assert_eq!(credentials.environment_region().unwrap().as_str(), "eu-central-1");
    assert_eq!(credentials.provider(), "environment");
}

#[tokio::test]
async fn env_default_region_used_without_aws_region() {
    for region in ["", "  "] {
        let found = with_pair(&[("AWS_REGION", region), ("AWS_DEFAULT_REGION", "us-west-2")]).await.unwrap();
        assert_eq!(found.environment_region().unwrap().as_str(), "us-west-2");
    }
}

#[tokio::test]
async fn env_missing_or_blank_is_not_configured() {
    for variables in [
        &[][..],
        &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", " \t\n")],
        &[("AWS_REGION", "us-east-1"), ("AWS_SESSION_TOKEN", " ")],
        &[("AWS_REGION", "no region at all")],
    ] {
        assert_eq!(read(variables).await.unwrap_err().kind(), ErrorKind::NotConfigured, "{variables:?}");
    }
}

#[tokio::test]
async fn env_half_a_pair_names_missing_variable() {
    let (id, secret) = (PAIR[0], PAIR[1]);
    for (variables, missing) in [
        (&[id][..], "AWS_SECRET_ACCESS_KEY"),
        (&[id, ("AWS_SECRET_ACCESS_KEY", "  ")], "AWS_SECRET_ACCESS_KEY"),
        (&[id, ("AWS_SESSION_TOKEN", "hunter2")], "AWS_SECRET_ACCESS_KEY"),
        (&[secret], "AWS_ACCESS_KEY_ID"),
        (&[secret, ("AWS_ACCESS_KEY_ID", "")], "AWS_ACCESS_KEY_ID"),
        (&[("AWS_SESSION_TOKEN", "hunter2")], "AWS_ACCESS_KEY_ID"),
    ] {
        let error = read(variables).await.unwrap_err();
        assert_invalid(&error, missing);
        assert!(error.next_step().unwrap().contains(&format!("export {missing}")), "{error}");
    }
}

#[tokio::test]
async fn env_malformed_value_names_variable_only() {
    for (variable, value) in [
        ("AWS_ACCESS_KEY_ID", "hunter2 hunter2"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2\nhunter2"),
        ("AWS_SESSION_TOKEN", "hunter2 hunter2"),
        ("AWS_CREDENTIAL_EXPIRATION", "hunter2"),
        ("AWS_ACCOUNT_ID", "hunter2"),
        ("AWS_REGION", "hunter2 hunter2"),
        ("AWS_DEFAULT_REGION", "hunter2 hunter2"),
    ] {
        assert_invalid(&with_pair(&[(variable, value)]).await.unwrap_err(), variable);
    }
}

#[tokio::test]
async fn env_non_utf8_value_names_variable() {
    for variable in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_ACCOUNT_ID",
        "AWS_REGION",
    ] {
        let provider = EnvProvider::new(move |name| match PAIR.iter().find(|(known, _)| *known == name) {
            _ if name == variable => Some(OsString::from_vec(b"hunter2\xff".to_vec())),
            Some((_, value)) => Some(OsString::from(value)),
            None => None,
        });
        assert_invalid(&provider.provide().await.unwrap_err(), variable);
    }
}

#[tokio::test]
async fn env_past_expiration_is_expired() {
    let error = with_pair(&[("AWS_CREDENTIAL_EXPIRATION", "2026-11-21T12:00:00Z")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert!(with_pair(&[("AWS_CREDENTIAL_EXPIRATION", "2026-11-21T12:00:01Z")]).await.is_ok());
}

#[tokio::test]
async fn env_variables_are_read_at_every_fetch() {
    let region = Arc::new(Mutex::new("us-east-1"));
    let current = Arc::clone(&region);
    let provider = EnvProvider::new(move |name| match name {
        "AWS_REGION" => Some(OsString::from(*current.lock().unwrap())),
        name => PAIR.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)),
    });
    assert_eq!(provider.provide().await.unwrap().environment_region().unwrap().as_str(), "us-east-1");
    *region.lock().unwrap() = "eu-west-1";
    assert_eq!(provider.provide().await.unwrap().environment_region().unwrap().as_str(), "eu-west-1");
}

fn assert_invalid(error: &Error, variable: &str) {
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(variable)), "{error}");
    assert_eq!(error.provider(), Some("environment"));
    assert!(error.to_string().contains(variable), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

proptest! {
    /// Any environment gives credentials or a typed error, without a panic, and shows no value.
    #[test]
    fn env_arbitrary_values_never_panic_or_leak(
        values in proptest::collection::vec(proptest::option::of("xyzzy[ -~]{0,40}"), 6)
    ) {
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
            "AWS_CREDENTIAL_EXPIRATION", "AWS_ACCOUNT_ID", "AWS_REGION"];
        let set: Vec<_> = names.iter().zip(&values).filter_map(|(n, v)| Some((*n, v.as_deref()?))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Err(error) = runtime.block_on(read(&set)) {
            prop_assert!(matches!(error.kind(), ErrorKind::NotConfigured | ErrorKind::Invalid));
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains("xyzzy"), "{text}");
        }
    }
}
