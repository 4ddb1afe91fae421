//! Use and leaving under every interleaving of two or three threads, by loom: `cargo xtask loom`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::thread;

use super::{Pool, SessionHandle, Use};
use crate::sync::AtomicU64;

const ONLY: SessionHandle = SessionHandle::of([7; 16]);

/// When it was last used, and whether it was closed.
struct Session {
    last_used: AtomicU64,
    closed: AtomicU64,
}

/// A pool of one session, which nobody uses and which was last used at 1.
fn pool() -> Arc<Pool<Session>> {
    let (pool, session) = (Pool::new(), Session { last_used: AtomicU64::new(1), closed: AtomicU64::new(0) });
    pool.put(ONLY, &Use::new(session));
    Arc::new(pool)
}

/// A call as a gateway makes it, at the time of 5. Nothing is closed while it is in flight.
fn call(pool: &Pool<Session>) -> bool {
    let Some(session) = pool.view(&ONLY, Use::clone) else { return false };
    assert_eq!(session.closed.load(Ordering::Relaxed), 0, "closed while in use");
    session.last_used.store(5, Ordering::Relaxed);
    true
}

/// Closes the session if nobody uses it and it was not used after 1.
fn sweep(pool: &Pool<Session>) -> bool {
    let idle = |session: &Session, used: bool| !used && session.last_used.load(Ordering::Relaxed) == 1;
    let taken = pool.take(&ONLY, idle);
    taken.inspect(|session| session.closed.store(1, Ordering::Relaxed)).is_some()
}

#[test]
fn what_is_in_use_is_not_taken_and_what_was_taken_is_not_found() {
    loom::model(|| {
        let pool = pool();
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || call(&pool))
            })
            .collect();
        let swept = sweep(&pool);
        let called = calls.into_iter().map(|call| call.join().unwrap()).filter(|called| *called).count();
        assert_eq!(call(&pool), !swept);
        assert!(called == 0 || !swept, "whoever called was seen by whoever swept");
    });
}

#[test]
fn of_those_who_leave_at_once_the_last_takes_it_out_and_nobody_else() {
    loom::model(|| {
        let pool = pool();
        let in_use = [(); 2].map(|()| pool.view(&ONLY, Use::clone).unwrap());
        let users = in_use.map(|session| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                drop(session);
                pool.take(&ONLY, |_, used| !used).is_some()
            })
        });
        let took = users.into_iter().map(|user| user.join().unwrap()).filter(|took| *took).count();
        assert_eq!(took, 1);
    });
}
