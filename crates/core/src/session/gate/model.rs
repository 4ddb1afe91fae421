//! Checks the gate under every interleaving of two or three threads with loom: `cargo xtask loom`.

use std::sync::Arc;

use loom::thread;

use super::{Sentinel, VersionedCell};

type Numbers = VersionedCell<u32, ()>;

impl Sentinel for u32 {
    fn sentinel() -> Arc<Self> {
        Arc::new(0)
    }

    fn is_sentinel(&self) -> bool {
        *self == 0
    }
}

/// Performs a fetch as a slot does: reads the epoch, calls the source, publishes the result if the epoch is unchanged.
fn fetch(gate: &Numbers, answer: u32) -> bool {
    let Some(epoch) = gate.lock_open().map(|turn| turn.epoch()) else { return false };
    thread::yield_now();
    match gate.lock_in_epoch(epoch) {
        Some(mut turn) => {
            turn.publish(Arc::new(answer));
            true
        }
        None => false,
    }
}

fn set(gate: &Numbers, value: u32) -> bool {
    match gate.lock_open() {
        Some(mut turn) => {
            turn.advance_epoch();
            turn.publish(Arc::new(value));
            true
        }
        None => false,
    }
}

fn clear(gate: &Numbers) {
    let mut turn = gate.lock();
    turn.advance_epoch();
    turn.unpublish();
}

fn served(gate: &Numbers) -> Option<u32> {
    gate.current().map(|value| *value)
}

#[test]
fn versioned_cell_stale_fetch_is_not_published() {
    loom::model(|| {
        let gate = Arc::new(Numbers::new(()));
        let epoch = gate.lock().epoch();
        let clearing = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                clear(&gate);
                assert_eq!(served(&gate), None, "cleared, and nothing may come back");
            }
        });
        if let Some(mut turn) = gate.lock_in_epoch(epoch) {
            turn.publish(Arc::new(1));
        }
        clearing.join().unwrap();
        assert_eq!(served(&gate), None);
    });
}

#[test]
fn versioned_cell_closed_never_publishes_again() {
    loom::model(|| {
        let gate = Arc::new(Numbers::new(()));
        let [fetching, setting] = [fetch as fn(&Numbers, u32) -> bool, set].map(|give| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || give(&gate, 1))
        });
        gate.lock().close();
        assert_eq!(served(&gate), None);
        fetching.join().unwrap();
        setting.join().unwrap();
        assert_eq!(served(&gate), None);
        assert!(!set(&gate, 2) && !fetch(&gate, 3));
    });
}

#[test]
fn versioned_cell_set_wins_over_stale_fetch() {
    loom::model(|| {
        let gate = Arc::new(Numbers::new(()));
        let epoch = gate.lock().epoch();
        let fetching = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                if let Some(mut turn) = gate.lock_in_epoch(epoch) {
                    turn.publish(Arc::new(1));
                }
            }
        });
        set(&gate, 2);
        assert_eq!(served(&gate), Some(2), "from the moment of setting");
        fetching.join().unwrap();
        assert_eq!(served(&gate), Some(2));
    });
}

#[test]
fn versioned_cell_reader_sees_old_or_new_value() {
    loom::model(|| {
        let gate = Arc::new(Numbers::new(()));
        set(&gate, 1);
        let changing = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                clear(&gate);
                set(&gate, 2);
            }
        });
        let in_place = gate.read().filter(|value| !value.is_sentinel()).map(|value| **value);
        let seen = [in_place, served(&gate)];
        changing.join().unwrap();
        let allowed = [
            [Some(1), Some(1)],
            [Some(1), None],
            [Some(1), Some(2)],
            [None, None],
            [None, Some(2)],
            [Some(2), Some(2)],
        ];
        assert!(allowed.contains(&seen), "{seen:?}");
    });
}
