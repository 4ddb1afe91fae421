//! Credentials held by callers: a session returns them without counting them, and they stay intact.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use valetkey_core::{Credentials, Expiry, SessionContext};

use crate::session_fixture::*;

/// Far more than a thread can hold uncounted.
const CREDENTIALS_COUNT: u64 = 50;

fn session_with_number(number: u64) -> SessionContext {
    let session = SessionContext::builder().build();
    session.set_credentials(numbered(number, Expiry::Never)).unwrap();
    session
}

fn current_credentials(session: &SessionContext) -> Credentials {
    session.with_cached(|_| ()).unwrap();
    session.current().unwrap().credentials
}

#[test]
fn credentials_held_by_caller_outlive_session_and_thread() {
    let ends: [fn(SessionContext); 5] = [
        |session| {
            session.clear();
        },
        |session| {
            session.close();
        },
        drop,
        |session| {
            session.set_credentials(numbered(1_000, Expiry::Never)).unwrap();
        },
        |session| session.mark_rejected(current_credentials(&session).access_key_id()),
    ];
    for end in ends {
        let sessions: Vec<_> = (0..CREDENTIALS_COUNT).map(session_with_number).collect();
        let taken = thread::scope(|scope| {
            scope.spawn(|| sessions.iter().map(current_credentials).collect::<Vec<_>>()).join().unwrap()
        });
        let clones: Vec<_> = taken.iter().step_by(3).cloned().collect();
        sessions.into_iter().for_each(end);
        assert!(taken.iter().map(number).eq(0..CREDENTIALS_COUNT));
        drop(taken);
        assert!(clones.iter().map(number).eq((0..CREDENTIALS_COUNT).step_by(3)));
    }
}

/// What one thread takes another drops, while a third replaces it.
#[test]
fn credentials_moved_between_threads_stay_intact() {
    let (session, stop) = (session_with_number(0), AtomicBool::new(false));
    let (send, receive) = mpsc::sync_channel::<Credentials>(20);
    let taking = |send: mpsc::SyncSender<Credentials>| {
        let mut held = VecDeque::new();
        loop {
            held.push_back(current_credentials(&session));
            // The receiver is gone: enough have arrived.
            if held.len() > 12 && send.send(held.pop_front().unwrap()).is_err() {
                break;
            }
        }
    };
    thread::scope(|scope| {
        for send in [send.clone(), send] {
            scope.spawn(|| taking(send));
        }
        scope.spawn(|| {
            for round in 1.. {
                session.set_credentials(numbered(round, Expiry::Never)).unwrap();
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let dropping = scope.spawn(|| {
            for set in receive.into_iter().take(5_000) {
                assert_eq!(set.access_key_id().as_str(), format!("AKIA{:016}", number(&set)));
            }
        });
        let whole = dropping.join();
        // Whatever came of it: the others would go on for ever.
        stop.store(true, Ordering::Relaxed);
        whole.unwrap();
    });
}
