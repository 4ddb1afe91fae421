//! Row: advisory, with the session kept warm. The warmer fetches, and no caller waits.

use super::*;

fn warm_one_hour() -> InitialState {
    expiring_after(minutes(60)).with_background_refresh()
}

#[tokio::test(start_paused = true)]
async fn keep_warm_advisory_refreshes_and_no_caller_waits() {
    run_scenarios([
        scenario(
            "as it opens",
            warm_one_hour(),
            [
                at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
                at(Advisory, Issues, fetched_elsewhere(CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "unasked",
            warm_one_hour(),
            [
                without_callers_at(Advisory - minutes(1), Issues, 0),
                without_callers_at(Advisory, Issues, 1),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "as it ends",
            warm_one_hour(),
            [at(Mandatory - TICK, Issues, fetched_elsewhere(CallResult::Credentials(1)))],
        ),
        scenario(
            "credentials without expiry too",
            unexpiring().with_background_refresh(),
            [
                at(Advisory, Issues, fetched_elsewhere(CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn keep_warm_late_keeps_window_rules() {
    run_scenarios([
        scenario("mandatory", warm_one_hour(), [at(Mandatory, Issues, all_wait(CallResult::Credentials(2)))]),
        scenario("expired", warm_one_hour(), [at(Expiry, Issues, all_wait(CallResult::Credentials(2)))]),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn keep_warm_respects_backoff() {
    run_scenarios([scenario(
        "in the advisory window",
        expiring_after(minutes(12 * 60)).with_background_refresh(),
        [
            at(Advisory, DOWN, fetched_elsewhere(CallResult::Credentials(1))),
            at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
            at(LastFetch + seconds(600), DOWN, fetched_elsewhere(CallResult::Credentials(1))),
            at(LastFetch + seconds(600), Issues, fetched_elsewhere(CallResult::Credentials(1))),
            at(Now, Issues, all_immediate(CallResult::Credentials(2))),
        ],
    )])
    .await;
}

#[tokio::test(start_paused = true)]
async fn keep_warm_permanent_failure_unpublishes() {
    run_scenarios([scenario(
        "in the advisory window",
        warm_one_hour(),
        [
            at(Advisory, DENIES, fetched_elsewhere(CallResult::Credentials(1))),
            at(Now, Issues, all_immediate(DENIED)),
        ],
    )])
    .await;
}

#[tokio::test(start_paused = true)]
async fn keep_warm_backoff_ends_when_mandatory_window_opens() {
    run_scenarios([scenario(
        "a failure two minutes before it",
        warm_one_hour(),
        [
            without_callers_at(Mandatory - minutes(2), DOWN, 1),
            without_callers_at(Mandatory - TICK, DOWN, 0),
            without_callers_at(Mandatory, Issues, 1),
            at(Now, Issues, all_immediate(CallResult::Credentials(2))),
        ],
    )])
    .await;
}
