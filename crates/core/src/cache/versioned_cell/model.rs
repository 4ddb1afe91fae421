//! Checks the cell under every interleaving of two or three threads with loom: `cargo xtask loom`.

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

/// Performs a fetch as a cache does: reads the epoch, calls the source, publishes the result if the epoch is unchanged.
fn fetch(cell: &Numbers, answer: u32) -> bool {
    let Some(epoch) = cell.lock_open().map(|guard| guard.epoch()) else { return false };
    thread::yield_now();
    match cell.lock_in_epoch(epoch) {
        Some(mut guard) => {
            guard.publish(Arc::new(answer));
            true
        }
        None => false,
    }
}

fn set(cell: &Numbers, value: u32) -> bool {
    match cell.lock_open() {
        Some(mut guard) => {
            guard.advance_epoch();
            guard.publish(Arc::new(value));
            true
        }
        None => false,
    }
}

fn clear(cell: &Numbers) {
    let mut guard = cell.lock();
    guard.advance_epoch();
    guard.unpublish();
}

fn served(cell: &Numbers) -> Option<u32> {
    cell.current().map(|value| *value)
}

#[test]
fn versioned_cell_stale_fetch_is_not_published() {
    loom::model(|| {
        let cell = Arc::new(Numbers::new(()));
        let epoch = cell.lock().epoch();
        let clearing = thread::spawn({
            let cell = Arc::clone(&cell);
            move || {
                clear(&cell);
                assert_eq!(served(&cell), None, "cleared, and nothing may come back");
            }
        });
        if let Some(mut guard) = cell.lock_in_epoch(epoch) {
            guard.publish(Arc::new(1));
        }
        clearing.join().unwrap();
        assert_eq!(served(&cell), None);
    });
}

#[test]
fn versioned_cell_closed_never_publishes_again() {
    loom::model(|| {
        let cell = Arc::new(Numbers::new(()));
        let [fetching, setting] = [fetch as fn(&Numbers, u32) -> bool, set].map(|give| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || give(&cell, 1))
        });
        cell.lock().close();
        assert_eq!(served(&cell), None);
        fetching.join().unwrap();
        setting.join().unwrap();
        assert_eq!(served(&cell), None);
        assert!(!set(&cell, 2) && !fetch(&cell, 3));
    });
}

#[test]
fn versioned_cell_set_wins_over_stale_fetch() {
    loom::model(|| {
        let cell = Arc::new(Numbers::new(()));
        let epoch = cell.lock().epoch();
        let fetching = thread::spawn({
            let cell = Arc::clone(&cell);
            move || {
                if let Some(mut guard) = cell.lock_in_epoch(epoch) {
                    guard.publish(Arc::new(1));
                }
            }
        });
        set(&cell, 2);
        assert_eq!(served(&cell), Some(2), "from the moment of setting");
        fetching.join().unwrap();
        assert_eq!(served(&cell), Some(2));
    });
}

#[test]
fn versioned_cell_reader_sees_old_or_new_value() {
    loom::model(|| {
        let cell = Arc::new(Numbers::new(()));
        set(&cell, 1);
        let changing = thread::spawn({
            let cell = Arc::clone(&cell);
            move || {
                clear(&cell);
                set(&cell, 2);
            }
        });
        let in_place = cell.read().filter(|value| !value.is_sentinel()).map(|value| **value);
        let seen = [in_place, served(&cell)];
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
