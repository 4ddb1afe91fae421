//! A runtime that is shut down while a fetch is under way on it.

use tokio::runtime::{Builder, Runtime};

use super::*;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A session in this window, and a runtime on which a fetch of it is under way.
fn start_fetch(window: RefreshWindow) -> (CancellationFixture, Runtime) {
    let runtime = runtime();
    let stage = runtime.block_on(async {
        let stage = CancellationFixture::new(window, usize::MAX).await;
        tokio::spawn(stage.get());
        settle().await;
        stage.provider.set_polls_per_call(MOST);
        stage
    });
    assert_eq!(stage.provider.under_way(), 1);
    (stage, runtime)
}

#[test]
fn runtime_shutdown_ends_fetch_and_next_call_fetches() {
    for window in WINDOWS {
        let (stage, first) = start_fetch(window);
        drop(first);
        assert_eq!(stage.provider.under_way(), 0);
        runtime().block_on(stage.assert_fetches_anew());
        assert_eq!(stage.fetch_count(), 2, "{window:?}");
    }
}

#[test]
fn runtime_shutdown_of_leader_keeps_waiting_caller() {
    for window in [RefreshWindow::Cold, RefreshWindow::Mandatory, RefreshWindow::Expired] {
        let first = runtime();
        let stage = first.block_on(async {
            let stage = CancellationFixture::new(window, 200).await;
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
        assert!(second.block_on(waiting).unwrap() > stage.earlier_fetches as u64, "{window:?}");
        assert!(stage.fetch_count() <= 2, "{window:?}");
    }
}
