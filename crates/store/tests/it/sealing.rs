//! Sealed records: vectors of another implementation, and every change that must be detected.

use data_encoding::HEXLOWER;
use serde_json::Value;
use valetkey_core::{Error, SecretString};
use valetkey_store::{
    ClientHandle, KeyRing, MAX_CONTENTS, RecordError, RecordGeneration, RecordOwner, SealedRecord,
};

struct Fixture {
    ring: KeyRing,
    handle: ClientHandle,
    owner: RecordOwner,
}

impl Fixture {
    fn new() -> Self {
        let owner = RecordOwner::new("acme", "alice".parse().unwrap());
        Self { ring: KeyRing::generate().unwrap(), handle: ClientHandle::random().unwrap(), owner }
    }

    fn seal(&self, generation: u64, contents: &[u8]) -> SealedRecord {
        self.ring.seal(&self.handle, &self.owner, RecordGeneration::new(generation), contents).unwrap()
    }

    fn open(&self, record: &SealedRecord) -> Result<Vec<u8>, RecordError> {
        self.ring.open(&self.handle, &self.owner, record).map(|contents| contents.to_vec())
    }
}

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../vectors/sealing.json")).unwrap()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

#[test]
fn open_vector_of_another_implementation_returns_contents() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let ring = KeyRing::parse(&SecretString::from(vector["key_ring"].to_string())).unwrap();
        let handle: ClientHandle = text(&vector, "handle").parse().unwrap();
        let owner = RecordOwner::new(text(&vector, "tenant"), text(&vector, "principal").parse().unwrap());
        let generation = RecordGeneration::new(vector["generation"].as_u64().unwrap());
        let frame = HEXLOWER.decode(text(&vector, "frame").as_bytes()).unwrap();
        let record = SealedRecord::from_frame(generation, frame).unwrap();
        let contents = ring.open(&handle, &owner, &record).unwrap();
        assert_eq!(HEXLOWER.encode(&contents), text(&vector, "contents"), "{}", text(&vector, "name"));
    }
}

#[test]
fn seal_and_open_return_contents_of_every_size() {
    let fixture = Fixture::new();
    for size in [0, 1, 15, 16, 17, 4096, MAX_CONTENTS] {
        let contents = vec![7; size];
        let sealed = fixture.seal(1, &contents);
        assert_eq!(fixture.open(&sealed).unwrap(), contents);
        assert!(size < 15 || !sealed.frame().windows(15).any(|part| part == &contents[..15]));
    }
}

#[test]
fn seal_twice_gives_different_frames() {
    let fixture = Fixture::new();
    assert_ne!(fixture.seal(1, b"contents").frame(), fixture.seal(1, b"contents").frame());
}

#[test]
fn open_with_a_changed_byte_at_any_position_is_refused() {
    let fixture = Fixture::new();
    let sealed = fixture.seal(3, b"the contents of a session");
    for position in 0..sealed.frame().len() {
        for change in [1, 0x80, 0xff] {
            let mut frame = sealed.frame().to_vec();
            frame[position] ^= change;
            let opened = SealedRecord::from_frame(sealed.generation(), frame);
            let error = opened.and_then(|record| fixture.open(&record)).unwrap_err();
            let expected = match position {
                0 => RecordError::UnknownFormat,
                1..=4 => RecordError::UnknownTerm,
                _ => RecordError::Rejected,
            };
            assert_eq!(error, expected, "byte {position}");
        }
    }
}

#[test]
fn open_truncated_or_extended_is_refused() {
    let fixture = Fixture::new();
    let sealed = fixture.seal(3, b"the contents of a session");
    let length = sealed.frame().len();
    for end in 0..length {
        let opened = SealedRecord::from_frame(sealed.generation(), sealed.frame()[..end].to_vec());
        let error = opened.and_then(|record| fixture.open(&record)).unwrap_err();
        let expected = if end < 33 { RecordError::Truncated } else { RecordError::Rejected };
        assert_eq!(error, expected, "{end} bytes");
    }
    let extended = [sealed.frame(), &[0]].concat();
    let record = SealedRecord::from_frame(sealed.generation(), extended).unwrap();
    assert_eq!(fixture.open(&record).unwrap_err(), RecordError::Rejected);
}

#[test]
fn open_with_another_handle_is_refused() {
    let fixture = Fixture::new();
    let sealed = fixture.seal(1, b"contents");
    let other = ClientHandle::random().unwrap();
    let exposed = |handle: &ClientHandle| {
        let text = valetkey_core::ExposeSecret::expose_secret(&handle.expose()).to_owned();
        let (id, secret) = text.strip_prefix("vk1.").unwrap().split_once('.').unwrap();
        (id.to_owned(), secret.to_owned())
    };
    let ((id, secret), (other_id, other_secret)) = (exposed(&fixture.handle), exposed(&other));
    // Another session, a record that was moved to another key, and an id without its secret.
    for (id, secret) in [(&other_id, &other_secret), (&other_id, &secret), (&id, &other_secret)] {
        let handle: ClientHandle = format!("vk1.{id}.{secret}").parse().unwrap();
        assert_eq!(fixture.ring.open(&handle, &fixture.owner, &sealed).unwrap_err(), RecordError::Rejected);
    }
}

#[test]
fn open_for_another_owner_is_refused() {
    let fixture = Fixture::new();
    let sealed = fixture.seal(1, b"contents");
    // In the last two, the tenant and the principal have the same text in a row.
    for (tenant, principal) in
        [("acme", "mallory"), ("other", "alice"), ("", "alice"), ("acmea", "lice"), ("acm", "ealice")]
    {
        let owner = RecordOwner::new(tenant, principal.parse().unwrap());
        assert_eq!(fixture.ring.open(&fixture.handle, &owner, &sealed).unwrap_err(), RecordError::Rejected);
    }
}

#[test]
fn open_as_another_generation_is_refused() {
    let fixture = Fixture::new();
    let sealed = fixture.seal(3, b"contents");
    for generation in [0, 2, 4, u64::MAX] {
        let replayed =
            SealedRecord::from_frame(RecordGeneration::new(generation), sealed.frame().to_vec()).unwrap();
        assert_eq!(fixture.open(&replayed).unwrap_err(), RecordError::Rejected, "{generation}");
    }
}

#[test]
fn record_oversized_is_refused_before_it_is_parsed() {
    let fixture = Fixture::new();
    let (generation, contents) = (RecordGeneration::FIRST, vec![0; MAX_CONTENTS + 1]);
    let sealed = fixture.ring.seal(&fixture.handle, &fixture.owner, generation, &contents);
    assert_eq!(sealed.unwrap_err(), RecordError::Oversized);
    let stored = SealedRecord::from_frame(generation, vec![9; MAX_CONTENTS + 34]);
    assert_eq!(stored.unwrap_err(), RecordError::Oversized);
}

#[test]
fn record_of_term_zero_is_refused() {
    let fixture = Fixture::new();
    let mut frame = fixture.seal(1, b"contents").frame().to_vec();
    frame[1..5].fill(0);
    let record = SealedRecord::from_frame(RecordGeneration::FIRST, frame).unwrap();
    assert_eq!(record.term(), None);
    assert_eq!(fixture.open(&record).unwrap_err(), RecordError::UnknownTerm);
}

#[test]
fn record_debug_shows_no_contents() {
    let sealed = Fixture::new().seal(4, b"contents");
    let shown = format!("{sealed:?}");
    assert_eq!(shown, "SealedRecord { generation: RecordGeneration(4), term: Some(1), bytes: 41, .. }");
}

#[test]
fn record_errors_are_permanent_and_name_a_next_step() {
    for error in [
        RecordError::Oversized,
        RecordError::Truncated,
        RecordError::UnknownFormat,
        RecordError::UnknownTerm,
        RecordError::Rejected,
        RecordError::Replayed,
        RecordError::Malformed,
        RecordError::Internal,
    ] {
        let error = Error::from(error);
        assert!(!error.is_transient() && error.next_step().is_some(), "{error}");
    }
}
