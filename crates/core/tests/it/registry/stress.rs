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
                let _stop = StopOnDrop { done, first: index == 0 };
                work(done);
            });
        }
    });
}

struct StopOnDrop<'a> {
    done: &'a AtomicBool,
    first: bool,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if self.first || thread::panicking() {
            self.done.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn session_in_use_stays_open_during_concurrent_sweeps() {
    let fixture = RegistryFixture::with(|registry| registry.idle_ttl(2 * SECOND));
    let found = AtomicUsize::new(0);
    let swept = AtomicUsize::new(0);
    let caller = |done: &AtomicBool| {
        let mut handle = fixture.idle("ana").0;
        while !done.load(Ordering::SeqCst) {
            match fixture.find("ana", &handle) {
                Ok(session) => {
                    assert!(!session.is_closed());
                    found.fetch_add(1, Ordering::SeqCst);
                    assert!(!session.is_closed());
                }
                Err(_) => handle = fixture.idle("ana").0,
            }
        }
    };
    let sweeper = |done: &AtomicBool| {
        while swept.load(Ordering::SeqCst) < 300 && !done.load(Ordering::SeqCst) {
            fixture.clock.advance(SECOND);
            swept.fetch_add(fixture.registry.sweep(), Ordering::SeqCst);
        }
    };
    until_first_is_done(vec![Box::new(sweeper), Box::new(caller), Box::new(caller), Box::new(caller)]);
    assert!(found.load(Ordering::SeqCst) > 0);
    fixture.clock.advance(2 * SECOND);
    fixture.registry.sweep();
    assert_eq!(fixture.registry.len(), 0, "no count was lost");
}

#[test]
fn sweep_concurrent_with_find_keeps_used_session() {
    let fixture = RegistryFixture::with(|registry| registry.max_lifetime(Duration::MAX));
    let handle = fixture.idle("ana").0;
    let caller = |_: &AtomicBool| {
        for _ in 0..30_000 {
            let session = fixture.find("ana", &handle).unwrap();
            // By the call before, it has been unused for too long.
            fixture.clock.advance(IDLE);
            drop(session);
        }
    };
    let sweeper = |done: &AtomicBool| {
        while !done.load(Ordering::SeqCst) {
            assert_eq!(fixture.registry.sweep(), 0);
        }
    };
    until_first_is_done(vec![Box::new(caller), Box::new(sweeper)]);
}

#[test]
fn find_concurrent_with_close_never_returns_closed() {
    let fixture = RegistryFixture::new();
    let latest = Mutex::new(fixture.idle("ana").0);
    let closer = |_: &AtomicBool| {
        for round in 0..3_000 {
            let (handle, session) = fixture.idle("ana");
            *latest.lock().unwrap() = handle;
            thread::yield_now();
            match round % 3 {
                0 => assert!(fixture.registry.close(&principal("ana"), &handle).is_some()),
                1 => assert!(fixture.registry.close_all(&principal("ana")) > 0),
                _ => drop(session.close()),
            }
            assert!(session.is_closed() && !fixture.is_found("ana", &handle), "round {round}");
        }
    };
    let caller = |done: &AtomicBool| {
        while !done.load(Ordering::SeqCst) {
            let handle = *latest.lock().unwrap();
            if let Ok(session) = fixture.find("ana", &handle) {
                thread::yield_now();
                assert_eq!(session.handle(), handle);
            }
        }
    };
    until_first_is_done(vec![Box::new(closer), Box::new(caller), Box::new(caller)]);
    fixture.registry.close_all(&principal("ana"));
    assert_eq!(fixture.registry.len(), 0);
}

#[test]
fn concurrent_opens_keep_caps_and_close_no_session_in_use() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(4).max_sessions(6));
    let opener = |name: &'static str| {
        let fixture = &fixture;
        move |done: &AtomicBool| {
            let mut rounds = 0;
            while rounds < 3_000 && !done.load(Ordering::SeqCst) {
                rounds += 1;
                if let Ok(opened) = fixture.try_open(name) {
                    assert!(fixture.registry.len() <= 6);
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
    fixture.clock.advance(IDLE);
    fixture.registry.sweep();
    assert_eq!(fixture.registry.len(), 0);
}
