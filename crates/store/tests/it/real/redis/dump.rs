//! A copy of the whole store, with the files of the server: no secret is in it, and no record opens without its handle.

use std::fs;
use std::path::Path;

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use valetkey_core::testing::Canary;
use valetkey_core::{AccountName, Expiry, ExposeSecret, SessionId};
use valetkey_rig::Redis;
use valetkey_store::{
    AccountContents, Change, ClientHandle, CredentialSource, KeyRing, RecordError, RecordGeneration,
    SealedRecord, SessionContents, SessionStore,
};

use super::{LASTING, Session, connect};

const SESSIONS: usize = 20;

fn contents(canary: &Canary) -> Vec<u8> {
    let mut contents = SessionContents::new(SessionId::random());
    let source = CredentialSource::Set(canary.credentials(Expiry::Never).unwrap());
    contents.accounts.insert(AccountName::default_account(), AccountContents::new(source));
    contents.to_bytes().unwrap().to_vec()
}

/// Every file of the server: the snapshot and the log of commands.
fn read_all(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { bytes.extend(read_all(&path)) } else { bytes.extend(fs::read(path).unwrap()) }
    }
    bytes
}

/// The ways in which a text may occur: raw, and in the usual encodings, at each of the three alignments of base64.
fn spellings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut spellings = vec![text.to_vec(), text.iter().rev().copied().collect()];
    for encode in [HEXLOWER, HEXUPPER, BASE32_NOPAD] {
        spellings.push(encode.encode(text).into_bytes());
    }
    for skip in 0..3 {
        let part = &text[skip..];
        let part = &part[..part.len() / 3 * 3];
        spellings.push(BASE64.encode(part).into_bytes());
        spellings.push(BASE64URL_NOPAD.encode(part).into_bytes());
    }
    spellings
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn dump_of_the_store_opens_nothing() {
    let server = Redis::start(&["--save", "3600 1", "--rdbcompression", "no"]).await.unwrap();
    let store = connect(&server).await;
    let (ring, mut sessions) = (KeyRing::generate().unwrap(), Vec::new());
    for _ in 0..SESSIONS {
        let (canary, session) = (Canary::new(), Session { ring: ring.clone(), ..Session::new() });
        let first = session.seal_contents(1, &contents(&canary));
        store.create(session.handle.id(), &first, LASTING).await.unwrap();
        let second = session.seal_contents(2, &contents(&canary));
        store.save(session.handle.id(), RecordGeneration::FIRST, &second, Change::Rotated).await.unwrap();
        sessions.push((canary, session));
    }
    server.command(&["SAVE"]).await.unwrap();
    let dump = read_all(server.folder());

    let (canary, session) = &sessions[0];
    assert!(contains(&dump, session.handle.id().to_string().as_bytes()), "the search finds what is there");
    assert!(contains(&contents(canary), BASE64.encode(canary.expose_secret().as_bytes()).as_bytes()));
    for (canary, session) in &sessions {
        let keys = canary.to_json();
        let handle = session.handle.expose();
        let secret = handle.expose_secret().rsplit_once('.').unwrap().1;
        let texts =
            ["access_key_id", "secret_access_key", "session_token"].map(|name| keys[name].as_str().unwrap());
        for text in texts.into_iter().chain([secret, "alice"]) {
            for spelling in spellings(text.as_bytes()) {
                assert!(!contains(&dump, &spelling), "{text}");
            }
        }
        let raw = HEXLOWER.decode(secret.as_bytes()).unwrap();
        assert!(!contains(&dump, &raw));
        let document = ring.expose_document();
        let key = document.expose_secret().split("\"key\":\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(!contains(&dump, &BASE64.decode(key.as_bytes()).unwrap()));
    }
    assert_no_record_opens(&store, &ring, &sessions).await;
    server.stop().await.unwrap();
}

/// With the records, the ring, the owners and every id, but no secret of a handle.
async fn assert_no_record_opens(store: &dyn SessionStore, ring: &KeyRing, sessions: &[(Canary, Session)]) {
    for (_, session) in sessions {
        let record: SealedRecord = store.load(session.handle.id()).await.unwrap();
        assert!(ring.open(&session.handle, &session.owner, &record).is_ok());
        for (_, other) in sessions.iter().filter(|(_, other)| other.handle.id() != session.handle.id()) {
            let secret = other.handle.expose().expose_secret().rsplit_once('.').unwrap().1.to_owned();
            let guessed: ClientHandle = format!("vk1.{}.{secret}", session.handle.id()).parse().unwrap();
            let opened = ring.open(&guessed, &session.owner, &record);
            assert_eq!(opened.unwrap_err(), RecordError::Rejected);
        }
    }
}
