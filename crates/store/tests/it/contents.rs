//! The contents of a record: every part survives, secrets stay hidden, malformed text is refused.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use valetkey_core::testing::Canary;
use valetkey_core::{
    AccountName, Credentials, Expiry, SecretString, SessionHandle, SessionId, SessionPolicy,
};
use valetkey_store::{
    AccountContents, CredentialSource, MAX_CONTENTS, RecordError, SessionContents, StoredNarrowing,
};

fn account(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn full_credentials() -> Credentials {
    Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse().unwrap(), SecretString::from("se\"cret\\é"))
        .session_token(SecretString::from("token"))
        .expiry(Expiry::At(UNIX_EPOCH + Duration::from_millis(1_795_262_400_750)))
        .account_id(Some("012345678901".parse().unwrap()))
        .region(Some("eu-west-1".parse().unwrap()))
        .max_age(Duration::from_secs(300))
        .provider("vault")
        .build()
        .unwrap()
}

fn full_contents() -> SessionContents {
    let mut contents = SessionContents::new(SessionId::random());
    contents.default_account = account("prod");
    contents.region = Some("us-west-2".parse().unwrap());
    contents.service_context = json!({"service_id": "svc", "z": [1, {"a": "\u{1}"}]}).as_object().cloned();
    let role = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    let sources = [
        ("configured", CredentialSource::Configured),
        ("cleared", CredentialSource::Cleared),
        ("role", CredentialSource::Role { role, base: account("prod") }),
        ("secret", CredentialSource::Secret { id: "app/\"db\"".to_owned() }),
        ("resolved", CredentialSource::Resolved { id: "team/job-7".parse().unwrap() }),
        ("prod", CredentialSource::Set(full_credentials())),
    ];
    contents.accounts.extend(sources.map(|(name, source)| (account(name), AccountContents::new(source))));
    contents.accounts.get_mut(&account("role")).unwrap().region = Some("eu-central-1".parse().unwrap());
    let (handle, session) = (SessionHandle::random(), SessionId::random());
    contents.narrowed = vec![
        StoredNarrowing {
            handle,
            session,
            parent: None,
            accounts: None,
            policy: None,
            ends_at: Expiry::Never,
        },
        StoredNarrowing {
            handle: SessionHandle::random(),
            session: SessionId::random(),
            parent: Some(handle),
            accounts: Some(vec![account("prod")]),
            policy: Some(SessionPolicy::read_only(["s3"]).unwrap()),
            ends_at: Expiry::At(UNIX_EPOCH + Duration::from_secs(1_795_262_400)),
        },
    ];
    contents
}

#[test]
fn contents_written_and_read_are_the_same() {
    let contents = full_contents();
    let bytes = contents.to_bytes().unwrap();
    let read = SessionContents::from_bytes(&bytes).unwrap();
    assert_eq!(*read.to_bytes().unwrap(), *bytes);
    assert_eq!(read.session, contents.session);
    assert_eq!(format!("{read:?}"), format!("{contents:?}"));
    assert_eq!(read.service_context, contents.service_context);
    let CredentialSource::Set(keys) = &read.accounts[&account("prod")].source else { panic!("{read:?}") };
    let original = full_credentials();
    assert_eq!(keys.expose_secret_access_key(), original.expose_secret_access_key());
    assert_eq!(keys.expose_session_token(), original.expose_session_token());
    assert_eq!((keys.expiry(), keys.max_age()), (original.expiry(), original.max_age()));
    assert_eq!((keys.account_id(), keys.region()), (original.account_id(), original.region()));
    assert_eq!(keys.provider(), "vault");
}

#[test]
fn contents_hold_secrets_of_set_credentials_only() {
    let canary = Canary::new();
    let mut contents = SessionContents::new(SessionId::random());
    let source = CredentialSource::Set(canary.credentials(Expiry::Never).unwrap());
    contents.accounts.insert(account("default"), AccountContents::new(source));
    let shown = format!("{contents:?}");
    assert!(shown.contains("default") && canary.found_in(&shown).is_empty(), "{shown}");

    let bytes = contents.to_bytes().unwrap();
    let read = SessionContents::from_bytes(&bytes).unwrap();
    let CredentialSource::Set(keys) = &read.accounts[&account("default")].source else { panic!() };
    assert_eq!(canary.found_in(keys.expose_secret_access_key()), ["secret"]);
    assert_eq!(keys.environment_region(), None);
}

#[test]
fn contents_buffer_never_grows() {
    let bytes = full_contents().to_bytes().unwrap();
    assert_eq!(bytes.len(), bytes.capacity());
}

type Damage = fn(&mut Value);

/// Applies `change` to valid contents, and returns why they are refused.
fn refusal(change: impl Fn(&mut Value)) -> RecordError {
    let mut value: Value = serde_json::from_slice(&full_contents().to_bytes().unwrap()).unwrap();
    change(&mut value);
    SessionContents::from_bytes(value.to_string().as_bytes()).unwrap_err()
}

#[test]
fn contents_malformed_are_refused() {
    assert_eq!(refusal(|value| value["version"] = json!(2)), RecordError::UnknownFormat);
    assert_eq!(
        refusal(|value| {
            value["version"] = json!(2);
            value["new"] = json!(1)
        }),
        RecordError::UnknownFormat
    );
    let changes: [(&str, Damage); 9] = [
        ("an unknown field", |value| value["limit"] = json!(1)),
        ("an unknown restriction", |value| value["narrowed"][1]["limit"] = json!(1)),
        ("an unknown source", |value| value["accounts"]["role"]["source"] = json!("borrowed")),
        ("an account name", |value| {
            value["accounts"]["a b"] = json!({"region": null, "source": "configured"})
        }),
        ("a policy", |value| value["narrowed"][1]["policy"] = json!("{}")),
        ("a secret that is not base64", |value| {
            value["accounts"]["prod"]["source"]["set"]["secret_access_key"] = json!("***")
        }),
        ("a secret that is no text", |value| {
            value["accounts"]["prod"]["source"]["set"]["secret_access_key"] = json!("////")
        }),
        ("an instant", |value| value["narrowed"][1]["ends_at_ms"] = json!("tomorrow")),
        ("no session", |value| value["session"] = json!("x")),
    ];
    for (what, change) in changes {
        assert_eq!(refusal(change), RecordError::Malformed, "{what}");
    }
    for text in ["", "null", "{", "{}", "[]", "\u{0}"] {
        assert_eq!(SessionContents::from_bytes(text.as_bytes()).unwrap_err(), RecordError::Malformed);
    }
}

#[test]
fn contents_oversized_are_refused_both_ways() {
    let mut contents = full_contents();
    let large = json!({"text": "x".repeat(MAX_CONTENTS)});
    contents.service_context = large.as_object().cloned();
    assert_eq!(contents.to_bytes().unwrap_err(), RecordError::Oversized);
    let bytes = vec![b' '; MAX_CONTENTS + 1];
    assert_eq!(SessionContents::from_bytes(&bytes).unwrap_err(), RecordError::Oversized);
}
