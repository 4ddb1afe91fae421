//! The calls and the retirement of a session under every interleaving of two or three threads, by loom:
//! `cargo xtask loom`.

use std::sync::atomic::Ordering;

use loom::sync::Arc;
use loom::thread;

use super::Activity;
use crate::sync::AtomicU64;

/// The activity of a session that was last used at 1 and has no call in flight.
struct Session {
    activity: Activity,
    closed: AtomicU64,
}

fn session() -> Arc<Session> {
    let activity = Activity::new(1);
    activity.end(1);
    Arc::new(Session { activity, closed: AtomicU64::new(0) })
}

/// A call that ends at 5.
fn call(session: &Session) -> bool {
    if !session.activity.start() {
        return false;
    }
    assert_eq!(session.closed.load(Ordering::Relaxed), 0, "closed while a call is in flight");
    session.activity.end(5);
    true
}

/// Closes the session if it was not used after 1.
fn sweep(session: &Session) -> bool {
    let swept = session.activity.retire_if(|| session.activity.last_used() == 1);
    if swept {
        session.closed.store(1, Ordering::Relaxed);
    }
    swept
}

#[test]
fn activity_in_use_is_not_retired_and_retired_is_not_used() {
    loom::model(|| {
        let session = session();
        let caller = {
            let session = Arc::clone(&session);
            thread::spawn(move || call(&session))
        };
        let swept = sweep(&session);
        let called = caller.join().unwrap();
        assert!(!called || !swept, "a call was missed");
        assert_eq!(call(&session), !swept);
    });
}

#[test]
fn activity_retired_by_two_sweeps_is_retired_once() {
    loom::model(|| {
        let session = session();
        let sweepers: Vec<_> = (0..2)
            .map(|_| {
                let session = Arc::clone(&session);
                thread::spawn(move || sweep(&session))
            })
            .collect();
        let swept =
            sweepers.into_iter().map(|sweeper| sweeper.join().unwrap()).filter(|swept| *swept).count();
        assert_eq!(swept, 1);
    });
}

#[test]
fn activity_starts_beside_another_only_while_it_is_in_flight() {
    loom::model(|| {
        let session = session();
        assert!(session.activity.start());
        let other = {
            let session = Arc::clone(&session);
            thread::spawn(move || session.activity.start_beside_another())
        };
        session.activity.end(5);
        let started = other.join().unwrap();
        assert_eq!(session.activity.in_use(), started);
    });
}
