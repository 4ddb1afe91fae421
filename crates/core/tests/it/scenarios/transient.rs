//! Rows: a transient failure with current credentials, a result that has already expired, the load timeout,
//! `serve_expired`.

use super::*;

fn one_hour() -> InitialState {
    expiring_after(minutes(60))
}

/// The failures from which upstream may recover, and the kind of error that is reported for each.
const TRANSIENT_FAILURES: [(UpstreamBehavior, ErrorKind); 7] = [
    (DOWN, ErrorKind::Unavailable),
    (Fails(ErrorKind::Throttled), ErrorKind::Throttled),
    (Fails(ErrorKind::TimedOut), ErrorKind::TimedOut),
    (IssuesFor(Duration::ZERO), ErrorKind::Unavailable),
    (Hangs, ErrorKind::TimedOut),
    // Neither is transient, and neither means that the current credentials are bad.
    (Panics, ErrorKind::Internal),
    (Fails(ErrorKind::Expired), ErrorKind::Expired),
];

#[tokio::test(start_paused = true)]
async fn transient_failure_advisory_backs_off_300_to_600_s() {
    for (upstream, kind) in TRANSIENT_FAILURES {
        run_scenarios([scenario(
            format!("{upstream:?}, {kind}: held for 300 s at least and 600 s at most", kind = kind.code()),
            expiring_after(minutes(12 * 60)),
            [
                at(Advisory, upstream, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                at(Now, upstream, all_immediate(CallResult::Credentials(1))),
                at(LastFetch + (seconds(300) - TICK), upstream, all_immediate(CallResult::Credentials(1))),
                at(
                    LastFetch + seconds(600),
                    upstream,
                    one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
                ),
                at(LastFetch + (seconds(300) - TICK), upstream, all_immediate(CallResult::Credentials(1))),
                at(
                    LastFetch + seconds(600),
                    Issues,
                    one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
                ),
            ],
        )])
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn transient_failure_mandatory_backs_off_1_to_5_s() {
    for (upstream, kind) in TRANSIENT_FAILURES {
        run_scenarios([scenario(
            format!("{upstream:?}, {kind}: held for 1 s at least and 5 s at most", kind = kind.code()),
            one_hour(),
            [
                at(Mandatory, upstream, all_wait(CallResult::Credentials(1))),
                at(Now, upstream, all_immediate(CallResult::Credentials(1))),
                at(LastFetch + (seconds(1) - TICK), upstream, all_immediate(CallResult::Credentials(1))),
                at(LastFetch + seconds(5), upstream, all_wait(CallResult::Credentials(1))),
                at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
            ],
        )])
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn transient_failure_expired_backs_off_1_to_5_s() {
    for (upstream, kind) in TRANSIENT_FAILURES {
        let expired = CallResult::Expired(kind);
        run_scenarios([scenario(
            format!("{upstream:?}, {kind}: returned with its cause, and remembered", kind = kind.code()),
            one_hour(),
            [
                at(Expiry, upstream, all_wait(expired)),
                at(Now, upstream, all_immediate(expired)),
                at(LastFetch + (seconds(1) - TICK), upstream, all_immediate(expired)),
                at(LastFetch + seconds(5), upstream, all_wait(expired)),
                at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
            ],
        )])
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn transient_failure_uncached_has_no_backoff() {
    for (upstream, kind) in TRANSIENT_FAILURES {
        let error = CallResult::Error(kind);
        run_scenarios([scenario(
            format!("{upstream:?}, {kind}: no hold", kind = kind.code()),
            uncached(),
            [
                at(Issued, upstream, all_wait(error)),
                at(Now, upstream, all_wait(error)),
                at(Now, Issues, all_wait(CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(1))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn transient_backoff_ends_when_mandatory_window_opens() {
    for before in [seconds(6), minutes(2), seconds(299)] {
        run_scenarios([scenario(
            format!("a failure {} s before it", before.as_secs()),
            one_hour(),
            [
                at(
                    Mandatory - before,
                    DOWN,
                    one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
                ),
                at(Mandatory - TICK, DOWN, all_immediate(CallResult::Credentials(1))),
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
            ],
        )])
        .await;
    }
    run_scenarios([scenario(
        "a failure within the last second before it counts as one of the window's own",
        one_hour(),
        [
            at(Mandatory - TICK, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
            at(Mandatory, DOWN, all_immediate(CallResult::Credentials(1))),
            at(LastFetch + seconds(5), DOWN, all_wait(CallResult::Credentials(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn transient_backoff_of_last_minute_outlasts_expiry() {
    run_scenarios([scenario(
        "the last failure before the end is the error after it",
        one_hour(),
        [
            at(Expiry - TICK, DOWN, all_wait(CallResult::Credentials(1))),
            at(Expiry, DOWN, all_immediate(EXPIRED)),
            at(LastFetch + (seconds(1) - TICK), DOWN, all_immediate(EXPIRED)),
            at(LastFetch + seconds(5), DOWN, all_wait(EXPIRED)),
        ],
    )])
    .await;
}

#[tokio::test]
async fn transient_backoff_ends_on_success() {
    run_scenarios([scenario(
        "short credentials are replaced by the next caller in their window",
        one_hour(),
        [
            at(
                Mandatory - seconds(30),
                DOWN,
                one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
            ),
            at(Mandatory, IssuesFor(minutes(5)), all_wait(CallResult::Credentials(2))),
            at(
                LastFetch + seconds(225),
                Issues,
                one_fetches(CallResult::Credentials(3), CallResult::Credentials(2)),
            ),
        ],
    )])
    .await;
    run_scenarios([scenario(
        "the next failure is met as the first was",
        one_hour(),
        [
            at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
            at(Mandatory, IssuesFor(minutes(6)), all_wait(CallResult::Credentials(2))),
            at(
                LastFetch + seconds(270),
                DOWN,
                one_fetches(CallResult::Credentials(2), CallResult::Credentials(2)),
            ),
            at(LastFetch + (seconds(30) - TICK), DOWN, all_immediate(CallResult::Credentials(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn expired_result_is_failure_and_one_tick_more_is_served() {
    run_scenarios([
        scenario(
            "with nothing cached",
            uncached(),
            [
                at(Issued, IssuesFor(Duration::ZERO), all_wait(UNAVAILABLE)),
                at(Now, IssuesFor(TICK), all_wait(CallResult::Credentials(1))),
            ],
        ),
        scenario(
            "after expiry",
            one_hour(),
            [
                at(Expiry, IssuesFor(Duration::ZERO), all_wait(EXPIRED)),
                at(LastFetch + seconds(5), IssuesFor(TICK), all_wait(CallResult::Credentials(2))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn serve_expired_keeps_long_backoff() {
    run_scenarios([
        scenario(
            "from the mandatory window on",
            one_hour().serving_expired(),
            [
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
                at(LastFetch + seconds(600), DOWN, all_wait(CallResult::Credentials(1))),
                at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
                at(LastFetch + seconds(600), Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "a hold from the advisory window is not cut short",
            one_hour().serving_expired(),
            [
                at(
                    Mandatory - TICK,
                    DOWN,
                    one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
                ),
                at(Mandatory + (seconds(300) - TICK - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
            ],
        ),
        scenario(
            "for days, if it must be",
            one_hour().serving_expired(),
            [
                at(Expiry + minutes(60 * 48), DOWN, all_wait(CallResult::Credentials(1))),
                at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
            ],
        ),
        scenario(
            "not when there never was one",
            uncached().serving_expired(),
            [at(Issued, DOWN, all_wait(UNAVAILABLE))],
        ),
    ])
    .await;
}
