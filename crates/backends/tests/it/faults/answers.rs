//! Each fault in each window: what callers are told, how often STS is asked, and that the session recovers.

use super::*;

use ErrorKind::{Expired, Throttled, TimedOut, Unavailable};

/// What passes by itself, the kind it is told as, and how often the SDK tries.
const TRANSIENT: [(Fault, ErrorKind, usize); 11] = [
    (Fault::Answers(400, "Throttling"), Throttled, ATTEMPTS),
    (Fault::Answers(503, "SlowDown"), Throttled, ATTEMPTS),
    (Fault::Answers(429, "TooManyRequestsException"), Throttled, ATTEMPTS),
    (Fault::Answers(500, "InternalFailure"), Unavailable, ATTEMPTS),
    (Fault::Answers(503, "ServiceUnavailable"), Unavailable, ATTEMPTS),
    (Fault::Hangs, TimedOut, 1),
    (Fault::CutsItsAnswer, Unavailable, ATTEMPTS),
    (Fault::HangsUp, Unavailable, ATTEMPTS),
    (Fault::TruncatesItsAnswer, Unavailable, 1),
    (Fault::Babbles, Unavailable, 1),
    // It is not asked, for nobody is there.
    (Fault::IsNotThere, Unavailable, 0),
];

#[derive(Debug, Clone, Copy)]
enum Window {
    Cold,
    Advisory,
    Mandatory,
    Expired,
}

/// A session in this window. A hold of the advisory window, 600 s at most, is over before the last minute.
async fn in_window(window: Window) -> Stage {
    let policy = RefreshPolicy::default();
    let left = match window {
        Window::Cold => return Stage::cold(HOUR, policy).await,
        Window::Advisory => 13 * MINUTE,
        Window::Mandatory => 50 * SECOND,
        Window::Expired => Duration::ZERO,
    };
    let stage = Stage::holding(HOUR, policy).await;
    stage.until(stage.expiry - left).await;
    stage
}

async fn meet(fault: Fault, kind: ErrorKind, attempts: usize, window: Window) {
    let case = format!("{fault:?}, {window:?}");
    let stage = in_window(window).await;
    let (before, first) = (stage.sts.requests(), stage.session.served().map(|served| served.id));
    stage.sts.misbehave(fault);
    let answer = stage.ask().await;
    assert_eq!(stage.sts.requests() - before, attempts, "{case}");
    match (window, answer) {
        (Window::Cold, Err(error)) => assert_eq!(error.kind(), kind, "{case}"),
        (Window::Expired, Err(error)) => {
            assert_eq!((error.kind(), cause(&error)), (Expired, Some(kind)), "{case}");
        }
        (Window::Advisory | Window::Mandatory, Ok(_)) => {
            assert_eq!(stage.session.served().map(|served| served.id), first, "{case}");
        }
        (_, answer) => panic!("{case}: {answer:?}"),
    }
    stage.sts.recover();
    let hold = match window {
        Window::Cold => Duration::ZERO,
        Window::Advisory => 600 * SECOND,
        Window::Mandatory | Window::Expired => 5 * SECOND,
    };
    sleep(hold).await;
    stage.ask().await.unwrap();
    let now = stage.session.served().map(|served| served.id);
    assert!(now.is_some() && now != first, "{case}: there is a new set");
}

#[tokio::test(start_paused = true)]
async fn with_nothing_in_hand_each_fault_is_told_as_its_kind_and_the_next_call_succeeds() {
    for (fault, kind, attempts) in TRANSIENT {
        meet(fault, kind, attempts, Window::Cold).await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_advisory_window_no_fault_is_noticed() {
    for (fault, kind, attempts) in TRANSIENT {
        meet(fault, kind, attempts, Window::Advisory).await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_mandatory_window_no_fault_is_told() {
    for (fault, kind, attempts) in TRANSIENT {
        meet(fault, kind, attempts, Window::Mandatory).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_expiry_each_fault_is_the_cause_of_the_error() {
    for (fault, kind, attempts) in TRANSIENT {
        meet(fault, kind, attempts, Window::Expired).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_takes_the_load_time_out_and_no_longer() {
    let stage = in_window(Window::Expired).await;
    stage.sts.misbehave(Fault::Hangs);
    let asked = stage.clock.elapsed();
    stage.ask().await.unwrap_err();
    let waited = stage.clock.elapsed() - asked;
    assert!((20 * SECOND..21 * SECOND).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_at_once_in_every_window_and_withdraws_the_set() {
    for window in [Window::Cold, Window::Advisory, Window::Mandatory, Window::Expired] {
        let stage = in_window(window).await;
        let before = stage.sts.requests();
        stage.sts.misbehave(Fault::Answers(403, "AccessDenied"));
        for _ in 0..3 {
            assert_eq!(stage.ask().await.unwrap_err().kind(), ErrorKind::Denied, "{window:?}");
        }
        assert_eq!(stage.sts.requests() - before, 1, "{window:?}: remembered, and not tried again");
        assert!(stage.session.served().is_none(), "{window:?}");
        stage.sts.recover();
        sleep(5 * SECOND).await;
        stage.ask().await.unwrap();
    }
}
