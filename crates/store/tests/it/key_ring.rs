//! Key rings: their document, rotation, and what a malformed one reports.

use valetkey_core::{ErrorKind, ExposeSecret, SecretString};
use valetkey_store::{ClientHandle, KeyRing, RecordError, RecordGeneration, RecordOwner, Term};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn parse(document: &str) -> valetkey_core::Result<KeyRing> {
    KeyRing::parse(&SecretString::from(document))
}

#[test]
fn key_ring_exposed_and_parsed_is_the_same() {
    let (ring, second) = KeyRing::generate().unwrap().add_key().unwrap();
    let ring = ring.promote(second).unwrap();
    let document = ring.expose_document();
    let parsed = parse(document.expose_secret()).unwrap();
    assert_eq!(parsed.expose_document().expose_secret(), document.expose_secret());
    assert_eq!((parsed.current(), parsed.terms().count()), (second, 2));
}

#[test]
fn key_ring_malformed_is_refused_without_echo() {
    let entry = |term: u32, key: &str| format!(r#"{{"term": {term}, "key": "{key}"}}"#);
    let ring =
        |current: u32, keys: &str| format!(r#"{{"version": 1, "current": {current}, "keys": [{keys}]}}"#);
    let good = entry(1, KEY);
    assert!(parse(&format!(" {}\n", ring(1, &good))).is_ok());
    let many = (1..=17).map(|term| entry(term, KEY)).collect::<Vec<_>>().join(",");
    for document in [
        String::new(),
        KEY.to_owned(),
        ring(2, &good),
        ring(0, &entry(0, KEY)),
        ring(1, &format!("{good},{good}")),
        ring(1, &entry(1, &KEY[4..])),
        ring(1, &entry(1, &KEY.replace('=', ""))),
        ring(1, &entry(1, &KEY.replace("h8=", "h9="))),
        ring(1, &entry(1, &format!("{KEY}{KEY}"))),
        ring(1, &entry(1, &KEY.replace("AAEC", "\\u0041AEC"))),
        ring(1, &entry(1, &"A".repeat(43)).replace("A\"", "A=\"")),
        ring(1, &many),
        ring(1, &good).replace("\"version\": 1", "\"version\": 2"),
        ring(1, &good).replace("\"keys\"", "\"more\": 1, \"keys\""),
        format!("{}{}", ring(1, &good), " ".repeat(5_000) + "x"),
    ] {
        let error = parse(&document).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("key_ring")), "{document}");
        assert!(!format!("{error} {error:?}").contains(&KEY[..12]), "{error}");
    }
}

#[test]
fn key_ring_debug_shows_terms_only() {
    let ring = parse(&format!(r#"{{"version":1,"current":3,"keys":[{{"term":3,"key":"{KEY}"}}]}}"#)).unwrap();
    assert_eq!(format!("{ring:?}"), "KeyRing { current: 3, terms: [3], .. }");
}

#[test]
fn key_ring_from_missing_source_is_not_configured() {
    let file = KeyRing::from_file("/nonexistent/key-ring.json".as_ref()).unwrap_err();
    let variable = KeyRing::from_env("VALETKEY_STORE_TEST_NO_SUCH_RING").unwrap_err();
    assert_eq!([file.kind(), variable.kind()], [ErrorKind::NotConfigured; 2]);
}

#[test]
fn key_ring_rotation_opens_old_and_new_records() {
    let handle = ClientHandle::random().unwrap();
    let owner = RecordOwner::new("acme", "alice".parse().unwrap());
    let first = KeyRing::generate().unwrap();
    let old = first.seal(&handle, &owner, RecordGeneration::FIRST, b"old").unwrap();

    let (both, second) = first.add_key().unwrap();
    let during = both.seal(&handle, &owner, RecordGeneration::FIRST, b"during").unwrap();
    assert_eq!(during.term(), Some(Term::FIRST), "nodes without the new key still open it");

    let promoted = both.promote(second).unwrap();
    let new = promoted.seal(&handle, &owner, RecordGeneration::FIRST, b"new").unwrap();
    for (record, contents) in [(&old, "old"), (&during, "during"), (&new, "new")] {
        assert_eq!(&**promoted.open(&handle, &owner, record).unwrap(), contents.as_bytes());
    }
    assert_eq!(first.open(&handle, &owner, &new).unwrap_err(), RecordError::UnknownTerm);

    let last = promoted.remove(Term::FIRST).unwrap();
    assert_eq!(last.open(&handle, &owner, &old).unwrap_err(), RecordError::UnknownTerm);
    assert!(last.remove(second).is_err(), "the current term stays");
}

#[test]
fn key_ring_with_another_key_of_the_term_opens_nothing() {
    let handle = ClientHandle::random().unwrap();
    let owner = RecordOwner::new("acme", "alice".parse().unwrap());
    let sealed =
        KeyRing::generate().unwrap().seal(&handle, &owner, RecordGeneration::FIRST, b"contents").unwrap();
    let error = KeyRing::generate().unwrap().open(&handle, &owner, &sealed).unwrap_err();
    assert_eq!(error, RecordError::Rejected);
}
