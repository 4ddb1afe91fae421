//! The audit log: what is recorded, and that no line holds a secret.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use valetkey_core::audit::{AuditEvent, InMemoryAudit, JsonLines};
use valetkey_core::testing::{Canary, ManualClock, Script, ScriptedProvider};
use valetkey_core::{AccountName, Error, ErrorKind, Expiry, MapResolver};

use crate::session_fixture::*;

#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn json_lines_records_have_context_and_no_secret() {
    let (clock, lines, canary) = (ManualClock::new(), SharedBuffer::default(), Canary::new());
    let credentials = canary.credentials(Expiry::Never).unwrap();
    let failing = Script::Fail(Error::new(ErrorKind::Denied, "no"));
    let provider = ScriptedProvider::new([Script::Answer(credentials.clone()), failing]);
    let session = builder(&clock)
        .audit(Arc::new(JsonLines::new(lines.clone())))
        .principal("alice@example.com".parse().unwrap())
        .provider(provider)
        .resolver(MapResolver::new())
        .build();
    session.credentials().await.unwrap();
    session.refresh().await.unwrap_err();
    session.set_credentials(credentials).unwrap();
    session.audit(AuditEvent::Serve, &AccountName::default_account(), "endpoint", None);
    session.set_from_resolver(&"unknown".parse().unwrap(), None).await.unwrap_err();
    session.clear();
    session.close();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["issue", "refresh", "set", "serve", "deny", "clear", "close"]);
    for record in &records {
        assert_eq!(record["principal"], "alice@example.com");
        assert_eq!(record["at"], "2026-11-21T12:00:00Z");
        assert_eq!(record["session"], session.id().to_string());
    }
    assert_eq!(records[0]["key_suffix"].as_str().unwrap().len(), 4);
    assert_eq!(records[0]["generation"], 1);
    assert_eq!(records[1]["failure"], "denied");
    assert_eq!(records[3]["component"], "endpoint");
    assert_eq!(records[4]["failure"], "denied");
    assert_eq!(canary.found_in(&text), [""; 0]);
}

#[tokio::test]
async fn in_memory_audit_keeps_newest_records_of_family() {
    let audit = Arc::new(InMemoryAudit::with_limit(2));
    let session = valetkey_core::SessionContext::builder().audit(audit.clone()).build();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let child = session.with_credentials(numbered(2, Expiry::Never)).unwrap();
    session.close();
    let records = audit.records();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.event == AuditEvent::Close));
    assert_eq!((records[0].session, records[1].session), (session.id(), child.id()));
}

#[tokio::test]
async fn audit_record_ids_follow_session_clock() {
    let (clock, audit) = (ManualClock::new(), Arc::new(InMemoryAudit::default()));
    let session = builder(&clock).audit(audit.clone()).build();
    for n in 0..20 {
        session.set_credentials(numbered(n, Expiry::Never)).unwrap();
        clock.advance(SECOND);
    }
    assert!(audit.records().is_sorted_by(|one, other| one.id < other.id && one.at < other.at));
}

#[tokio::test]
async fn json_lines_failing_writer_keeps_session_working() {
    struct FailingWriter;
    impl io::Write for FailingWriter {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let session =
        valetkey_core::SessionContext::builder().audit(Arc::new(JsonLines::new(FailingWriter))).build();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert_eq!(number(&session.credentials().await.unwrap()), 1);
}

/// A disk that takes so many bytes in each write, and is full for a while.
#[derive(Clone, Default)]
struct DiskFixture(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    bytes: Vec<u8>,
    writes: usize,
    /// How many bytes each of the next writes takes; 0 for one that fails. All of them once this is used up.
    write_limits: Vec<usize>,
}

impl io::Write for DiskFixture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.lock().unwrap();
        disk.writes += 1;
        let room = if disk.write_limits.is_empty() { bytes.len() } else { disk.write_limits.remove(0) };
        let taken = &bytes[..room.min(bytes.len())];
        disk.bytes.extend_from_slice(taken);
        if taken.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFixture {
    /// Which lines are records.
    fn complete_lines(&self) -> Vec<bool> {
        let text = String::from_utf8(self.0.lock().unwrap().bytes.clone()).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()))
            .collect()
    }
}

/// Three records, on a disk that takes this much in each write.
fn write_records(write_limits: &[usize], sink: fn(DiskFixture) -> JsonLines<DiskFixture>) -> DiskFixture {
    let disk = DiskFixture(Arc::new(Mutex::new(DiskState {
        write_limits: write_limits.to_vec(),
        ..DiskState::default()
    })));
    let session = builder(&ManualClock::new()).audit(Arc::new(sink(disk.clone()))).build();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    session.clear();
    session.close();
    disk
}

#[test]
fn json_lines_record_is_one_write() {
    let disk = write_records(&[], JsonLines::new);
    assert_eq!(disk.0.lock().unwrap().writes, 3);
    assert_eq!(disk.complete_lines(), [true, true, true]);
}

#[test]
fn json_lines_full_disk_next_record_begins_a_line() {
    assert_eq!(
        write_records(&[10, 0], JsonLines::new).complete_lines(),
        [false, true, true],
        "the first is torn"
    );
    let disk = write_records(&[10, 0, 1, 0], JsonLines::new);
    assert_eq!(disk.complete_lines(), [false, false, true], "of the second there is only its line break");
    assert_eq!(
        write_records(&[0], JsonLines::new).complete_lines(),
        [true, true],
        "nothing of the first was written"
    );
    assert_eq!(
        write_records(&[10, 20], JsonLines::new).complete_lines(),
        [true, true, true],
        "the rest followed"
    );
}

#[test]
fn json_lines_after_partial_line_begins_a_line() {
    let disk = write_records(&[], JsonLines::after_partial_line);
    assert_eq!(disk.complete_lines(), [false, true, true, true]);
}
