//! A runtime that is shut down while a fetch is under way on it.

use tokio::runtime::{Builder, Runtime};

use super::*;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A session in this window, and a runtime on which a fetch of it is under way.
fn under_way(window: Window) -> (Stage, Runtime) {
    let runtime = runtime();
    let stage = runtime.block_on(async {
        let stage = Stage::set(window, usize::MAX).await;
        tokio::spawn(stage.get());
        settle().await;
        stage.provider.slow_down(MOST);
        stage
    });
    assert_eq!(stage.provider.under_way(), 1);
    (stage, runtime)
}

#[test]
fn a_runtime_that_is_shut_down_ends_its_fetch_and_the_next_caller_begins_one() {
    for window in WINDOWS {
        let (stage, first) = under_way(window);
        drop(first);
        assert_eq!(stage.provider.under_way(), 0);
        runtime().block_on(stage.succeeds());
        assert_eq!(stage.asked(), 2, "{window:?}");
    }
}

#[test]
fn who_waits_on_another_runtime_is_answered_when_the_leaders_is_shut_down() {
    for window in [Window::Cold, Window::Mandatory, Window::Expired] {
        let first = runtime();
        let stage = first.block_on(async {
            let stage = Stage::set(window, 200).await;
            tokio::spawn(stage.get());
            // Each turn is a poll; the fetch is not at its end yet.
            settle().await;
            assert_eq!(stage.provider.under_way(), 1);
            stage
        });
        let second = runtime();
        let mut waiting = stage.get();
        assert!(second.block_on(poll_once(&mut waiting)).is_none());
        drop(first);
        assert!(second.block_on(waiting).unwrap() > stage.before as u64, "{window:?}");
        assert!(stage.asked() <= 2, "{window:?}");
    }
}
