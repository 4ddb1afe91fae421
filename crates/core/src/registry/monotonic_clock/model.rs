//! A clock that jumps back, under every interleaving with those who read the time, by loom: `cargo xtask loom`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loom::thread;

use super::MonotonicClock;
use crate::Clock;
use crate::clock::{ClockSource, duration_nanos};
use crate::sync::AtomicU64;

/// Set to whole seconds.
#[derive(Debug)]
struct Seconds(AtomicU64);

impl Clock for Seconds {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn model_clock() -> (Arc<Seconds>, Arc<MonotonicClock>) {
    let clock = Arc::new(Seconds(AtomicU64::new(100)));
    let source = ClockSource::custom(Arc::clone(&clock) as Arc<dyn Clock>);
    (clock, Arc::new(MonotonicClock::new(source)))
}

#[test]
fn clock_jump_backwards_is_ignored_by_concurrent_readers() {
    loom::model(|| {
        let (clock, monotonic) = model_clock();
        let reading = thread::spawn({
            let monotonic = Arc::clone(&monotonic);
            move || [monotonic.now(), monotonic.now()]
        });
        clock.0.store(40, Ordering::SeqCst);
        let still = duration_nanos(Duration::from_secs(100));
        assert_eq!(monotonic.now(), still);
        assert_eq!(reading.join().unwrap(), [still; 2]);
    });
}

#[test]
fn concurrent_readers_count_elapsed_time_once() {
    loom::model(|| {
        let (clock, monotonic) = model_clock();
        let reading = thread::spawn({
            let monotonic = Arc::clone(&monotonic);
            move || monotonic.now()
        });
        let [before, then, after] =
            [100, 110, 120].map(|seconds| duration_nanos(Duration::from_secs(seconds)));
        clock.0.store(110, Ordering::SeqCst);
        assert_eq!(monotonic.now(), then);
        clock.0.store(120, Ordering::SeqCst);
        assert_eq!(monotonic.now(), after);
        assert!([before, then, after].contains(&reading.join().unwrap()));
        assert_eq!(monotonic.now(), after);
    });
}
