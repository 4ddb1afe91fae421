//! Many threads at once: what is in use stays open, what is closed stays closed, the caps hold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::*;

/// What a thread does, until the flag reports that the first thread is done.
type Work<'a> = Box<dyn Fn(&AtomicBool) + Sync + 'a>;

/// Runs each of `works` on a thread of its own; the first ends the others.
fn until_first_is_done(works: Vec<Work<'_>>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for (index, work) in works.iter().enumerate() {
            let done = &done;
            scope.spawn(move || {
                // Also when one panics: the others would go on for ever.
                let _ends = Ends { done, first: index == 0 };
                work(done);
            });
        }
    });
}

struct Ends<'a> {
    done: &'a AtomicBool,
    first: bool,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if self.first || thread::panicking() {
            self.done.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn session_in_use_stays_open_during_concurrent_sweeps() {
    let gateway = Gateway::with(|registry| registry.idle_ttl(2 * SECOND));
    let found = AtomicUsize::new(0);
    let swept = AtomicUsize::new(0);
    let caller = |done: &AtomicBool| {
        let mut handle = gateway.idle("ana").0;
        while !done.load(Ordering::SeqCst) {
            match gateway.find("ana", &handle) {
                Ok(session) => {
                    assert!(!session.is_closed());
                    found.fetch_add(1, Ordering::SeqCst);
                    assert!(!session.is_closed());
                }
                Err(_) => handle = gateway.idle("ana").0,
            }
        }
    };
    let sweeper = |done: &AtomicBool| {
        while swept.load(Ordering::SeqCst) < 300 && !done.load(Ordering::SeqCst) {
            gateway.clock.advance(SECOND);
            swept.fetch_add(gateway.registry.sweep(), Ordering::SeqCst);
        }
    };
    until_first_is_done(vec![Box::new(sweeper), Box::new(caller), Box::new(caller), Box::new(caller)]);
    assert!(found.load(Ordering::SeqCst) > 0);
    gateway.clock.advance(2 * SECOND);
    gateway.registry.sweep();
    assert_eq!(gateway.registry.len(), 0, "no count was lost");
}

#[test]
fn what_was_just_used_is_not_swept() {
    let gateway = Gateway::with(|registry| registry.max_lifetime(Duration::MAX));
    let handle = gateway.idle("ana").0;
    let caller = |_: &AtomicBool| {
        for _ in 0..30_000 {
            let session = gateway.find("ana", &handle).unwrap();
            // By the call before, it has been unused for too long.
            gateway.clock.advance(IDLE);
            drop(session);
        }
    };
    let sweeper = |done: &AtomicBool| {
        while !done.load(Ordering::SeqCst) {
            assert_eq!(gateway.registry.sweep(), 0);
        }
    };
    until_first_is_done(vec![Box::new(caller), Box::new(sweeper)]);
}

#[test]
fn what_was_closed_is_never_found_again() {
    let gateway = Gateway::new();
    let latest = Mutex::new(gateway.idle("ana").0);
    let closer = |_: &AtomicBool| {
        for round in 0..3_000 {
            let (handle, session) = gateway.idle("ana");
            *latest.lock().unwrap() = handle;
            thread::yield_now();
            match round % 3 {
                0 => assert!(gateway.registry.close(&principal("ana"), &handle).is_some()),
                1 => assert!(gateway.registry.close_all(&principal("ana")) > 0),
                _ => drop(session.close()),
            }
            assert!(session.is_closed() && !gateway.is_found("ana", &handle), "round {round}");
        }
    };
    let caller = |done: &AtomicBool| {
        while !done.load(Ordering::SeqCst) {
            let handle = *latest.lock().unwrap();
            if let Ok(session) = gateway.find("ana", &handle) {
                thread::yield_now();
                assert_eq!(session.handle(), handle);
            }
        }
    };
    until_first_is_done(vec![Box::new(closer), Box::new(caller), Box::new(caller)]);
    gateway.registry.close_all(&principal("ana"));
    assert_eq!(gateway.registry.len(), 0);
}

#[test]
fn concurrent_opens_keep_caps_and_close_no_session_in_use() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(4).max_sessions(6));
    let opener = |name: &'static str| {
        let gateway = &gateway;
        move |done: &AtomicBool| {
            let mut rounds = 0;
            while rounds < 3_000 && !done.load(Ordering::SeqCst) {
                rounds += 1;
                if let Ok(opened) = gateway.try_open(name) {
                    assert!(gateway.registry.len() <= 6);
                    thread::yield_now();
                    assert!(!opened.is_closed());
                }
            }
        }
    };
    until_first_is_done(vec![
        Box::new(opener("ana")),
        Box::new(opener("ana")),
        Box::new(opener("ben")),
        Box::new(opener("ben")),
    ]);
    gateway.clock.advance(IDLE);
    gateway.registry.sweep();
    assert_eq!(gateway.registry.len(), 0);
}
