//! The count of calls under every interleaving of two or three threads, by loom: `cargo xtask loom`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::thread;

use super::Usage;
use crate::sync::AtomicU64;

/// A session that is not in use, and how often somebody was told to close it.
struct Session {
    usage: Usage,
    closed: AtomicU64,
}

impl Session {
    fn new() -> Arc<Self> {
        let usage = Usage::begun();
        assert!(!usage.end(1));
        Arc::new(Self { usage, closed: AtomicU64::new(0) })
    }

    fn close_if(&self, told: bool) {
        if told {
            self.closed.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn closed(&self) -> u64 {
        self.closed.load(Ordering::SeqCst)
    }

    /// A call as a gateway makes it. Nothing is closed while it is in flight.
    fn call(&self) {
        if self.usage.begin() {
            assert_eq!(self.closed(), 0, "closed while in use");
            self.close_if(self.usage.end(1));
        }
    }

    fn retire(&self) {
        self.close_if(self.usage.retire());
    }

    fn retire_if_idle(&self) {
        if let Some(idle) = self.usage.idle() {
            self.close_if(self.usage.retire_if_still(idle));
        }
    }
}

/// Runs all of it at once, each on a thread of its own, `last` on this one.
fn at_once(session: &Arc<Session>, works: &[fn(&Session)], last: fn(&Session)) {
    let spawn = |work: &fn(&Session)| {
        let (session, work) = (Arc::clone(session), *work);
        thread::spawn(move || work(&session))
    };
    let threads: Vec<_> = works.iter().map(spawn).collect();
    last(session);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn what_is_retired_is_closed_once_and_never_in_use() {
    loom::model(|| {
        let session = Session::new();
        at_once(&session, &[Session::call, Session::call], Session::retire);
        assert_eq!(session.closed(), 1);
        assert!(!session.usage.begin());
    });
}

#[test]
fn what_is_retired_for_being_idle_is_closed_once_and_never_in_use() {
    loom::model(|| {
        let session = Session::new();
        at_once(&session, &[Session::call, Session::retire_if_idle], Session::retire_if_idle);
        assert_eq!(session.closed(), u64::from(!session.usage.begin()), "as often as it was retired");
    });
}

#[test]
fn who_sees_a_session_idle_sees_when_its_last_call_ended() {
    loom::model(|| {
        let session = Arc::new(Usage::begun());
        let calling = thread::spawn({
            let session = Arc::clone(&session);
            move || session.end(7)
        });
        if let Some(idle) = session.idle() {
            assert_eq!(idle.since, 7);
        }
        calling.join().unwrap();
    });
}

#[test]
fn a_call_between_looking_and_retiring_keeps_a_session() {
    loom::model(|| {
        let session = Session::new();
        let idle = session.usage.idle().unwrap();
        let calling = thread::spawn({
            let session = Arc::clone(&session);
            move || session.usage.begin() && !session.usage.end(1)
        });
        let retired = session.usage.retire_if_still(idle);
        let called = calling.join().unwrap();
        assert!(retired != called, "one or the other");
    });
}
