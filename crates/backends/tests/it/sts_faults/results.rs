//! Each fault in each window: the results of callers, the number of requests to STS, and the recovery of the session.

use super::*;

use ErrorKind::{Expired, Throttled, TimedOut, Unavailable};

/// Transient faults, the kind of their errors, and the number of attempts of the SDK.
const TRANSIENT: [(FaultMode, ErrorKind, usize); 11] = [
    (FaultMode::RespondsWithError(400, "Throttling"), Throttled, SDK_ATTEMPTS),
    (FaultMode::RespondsWithError(503, "SlowDown"), Throttled, SDK_ATTEMPTS),
    (FaultMode::RespondsWithError(429, "TooManyRequestsException"), Throttled, SDK_ATTEMPTS),
    (FaultMode::RespondsWithError(500, "InternalFailure"), Unavailable, SDK_ATTEMPTS),
    (FaultMode::RespondsWithError(503, "ServiceUnavailable"), Unavailable, SDK_ATTEMPTS),
    (FaultMode::NeverResponds, TimedOut, 1),
    (FaultMode::DisconnectsMidResponse, Unavailable, SDK_ATTEMPTS),
    (FaultMode::Disconnects, Unavailable, SDK_ATTEMPTS),
    (FaultMode::TruncatesBody, Unavailable, 1),
    (FaultMode::RespondsGarbage, Unavailable, 1),
    // STS gets no request, because no server listens.
    (FaultMode::RefusesConnections, Unavailable, 0),
];

#[derive(Debug, Clone, Copy)]
enum Window {
    Cold,
    Advisory,
    Mandatory,
    Expired,
}

/// A session in this window. A hold of the advisory window, 600 s at most, is over before the last minute.
async fn fixture_in_window(window: Window) -> RoleSessionFixture {
    let policy = RefreshPolicy::default();
    let left = match window {
        Window::Cold => return RoleSessionFixture::without_credentials(HOUR, policy).await,
        Window::Advisory => 13 * MINUTE,
        Window::Mandatory => 50 * SECOND,
        Window::Expired => Duration::ZERO,
    };
    let fixture = RoleSessionFixture::with_credentials(HOUR, policy).await;
    fixture.sleep_until(fixture.expiry - left).await;
    fixture
}

async fn check_fault(fault: FaultMode, kind: ErrorKind, attempts: usize, window: Window) {
    let case = format!("{fault:?}, {window:?}");
    let fixture = fixture_in_window(window).await;
    let (before, first) = (fixture.sts.request_count(), fixture.session.current().map(|served| served.id));
    fixture.sts.set_fault(fault);
    let result = fixture.fetch_checked().await;
    assert_eq!(fixture.sts.request_count() - before, attempts, "{case}");
    match (window, result) {
        (Window::Cold, Err(error)) => assert_eq!(error.kind(), kind, "{case}"),
        (Window::Expired, Err(error)) => {
            assert_eq!((error.kind(), cause_kind(&error)), (Expired, Some(kind)), "{case}");
        }
        (Window::Advisory | Window::Mandatory, Ok(_)) => {
            assert_eq!(fixture.session.current().map(|served| served.id), first, "{case}");
        }
        (_, result) => panic!("{case}: {result:?}"),
    }
    fixture.sts.clear_fault();
    let hold = match window {
        Window::Cold => Duration::ZERO,
        Window::Advisory => 600 * SECOND,
        Window::Mandatory | Window::Expired => 5 * SECOND,
    };
    sleep(hold).await;
    fixture.fetch_checked().await.unwrap();
    let now = fixture.session.current().map(|served| served.id);
    assert!(now.is_some() && now != first, "{case}: there are new credentials");
}

#[tokio::test(start_paused = true)]
async fn fault_without_credentials_returns_kind_and_recovers() {
    for (fault, kind, attempts) in TRANSIENT {
        check_fault(fault, kind, attempts, Window::Cold).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fault_in_advisory_window_serves_current() {
    for (fault, kind, attempts) in TRANSIENT {
        check_fault(fault, kind, attempts, Window::Advisory).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fault_in_mandatory_window_serves_current() {
    for (fault, kind, attempts) in TRANSIENT {
        check_fault(fault, kind, attempts, Window::Mandatory).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fault_after_expiry_is_cause_of_expired_error() {
    for (fault, kind, attempts) in TRANSIENT {
        check_fault(fault, kind, attempts, Window::Expired).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fetch_hanging_sts_ends_at_load_timeout() {
    let fixture = fixture_in_window(Window::Expired).await;
    fixture.sts.set_fault(FaultMode::NeverResponds);
    let started_at = fixture.clock.elapsed();
    fixture.fetch_checked().await.unwrap_err();
    let waited = fixture.clock.elapsed() - started_at;
    assert!((20 * SECOND..21 * SECOND).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn denied_fetch_invalidates_credentials_in_every_window() {
    for window in [Window::Cold, Window::Advisory, Window::Mandatory, Window::Expired] {
        let fixture = fixture_in_window(window).await;
        let before = fixture.sts.request_count();
        fixture.sts.set_fault(FaultMode::RespondsWithError(403, "AccessDenied"));
        for _ in 0..3 {
            assert_eq!(fixture.fetch_checked().await.unwrap_err().kind(), ErrorKind::Denied, "{window:?}");
        }
        assert_eq!(fixture.sts.request_count() - before, 1, "{window:?}: remembered, and not tried again");
        assert!(fixture.session.current().is_none(), "{window:?}");
        fixture.sts.clear_fault();
        sleep(5 * SECOND).await;
        fixture.fetch_checked().await.unwrap();
    }
}
