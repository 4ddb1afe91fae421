//! A runtime that is shut down while a fetch is under way on it.

use tokio::runtime::{Builder, Runtime};

use super::*;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A session in this window, and a runtime on which a fetch of it is under way.
fn start_fetch(window: RefreshWindow) -> (CancellationFixture, Runtime) {
    let runtime = runtime();
    let fixture = runtime.block_on(async {
        let fixture = CancellationFixture::new(window, usize::MAX).await;
        tokio::spawn(fixture.get());
        settle().await;
        fixture.provider.set_polls_per_call(MOST);
        fixture
    });
    assert_eq!(fixture.provider.under_way(), 1);
    (fixture, runtime)
}

#[test]
fn runtime_shutdown_ends_fetch_and_next_call_fetches() {
    for window in WINDOWS {
        let (fixture, first) = start_fetch(window);
        drop(first);
        assert_eq!(fixture.provider.under_way(), 0);
        runtime().block_on(fixture.assert_fetches_anew());
        assert_eq!(fixture.fetch_count(), 2, "{window:?}");
    }
}

#[test]
fn runtime_shutdown_of_leader_keeps_waiting_caller() {
    for window in [RefreshWindow::Cold, RefreshWindow::Mandatory, RefreshWindow::Expired] {
        let first = runtime();
        let fixture = first.block_on(async {
            let fixture = CancellationFixture::new(window, 200).await;
            tokio::spawn(fixture.get());
            // Each turn is a poll; the fetch is not at its end yet.
            settle().await;
            assert_eq!(fixture.provider.under_way(), 1);
            fixture
        });
        let second = runtime();
        let mut waiting = fixture.get();
        assert!(second.block_on(poll_once(&mut waiting)).is_none());
        drop(first);
        assert!(second.block_on(waiting).unwrap() > fixture.earlier_fetches as u64, "{window:?}");
        assert!(fixture.fetch_count() <= 2, "{window:?}");
    }
}
