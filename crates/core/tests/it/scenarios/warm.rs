//! Row: advisory, with the session kept warm. The warmer asks, and nobody waits.

use super::*;

fn warm_hour() -> InitialState {
    expiring_after(minutes(60)).with_background_refresh()
}

#[tokio::test(start_paused = true)]
async fn in_the_advisory_window_the_warmer_asks_and_nobody_waits() {
    run_scenarios([
        scenario(
            "as it opens",
            warm_hour(),
            [
                at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
                at(Advisory, Issues, fetched_elsewhere(CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "unasked",
            warm_hour(),
            [
                unasked_at(Advisory - minutes(1), Issues, 0),
                unasked_at(Advisory, Issues, 1),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario("as it ends", warm_hour(), [at(Mandatory - TICK, Issues, fetched_elsewhere(CallResult::Credentials(1)))]),
        scenario(
            "a set without expiry too",
            unexpiring().with_background_refresh(),
            [at(Advisory, Issues, fetched_elsewhere(CallResult::Credentials(1))), at(Now, Issues, all_immediate(CallResult::Credentials(2)))],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_warmer_that_came_too_late_leaves_the_rules_as_they_are() {
    run_scenarios([
        scenario("mandatory", warm_hour(), [at(Mandatory, Issues, all_wait(CallResult::Credentials(2)))]),
        scenario("expired", warm_hour(), [at(Expiry, Issues, all_wait(CallResult::Credentials(2)))]),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_warmer_keeps_to_the_hold() {
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
async fn a_permanent_failure_that_the_warmer_meets_stops_the_session() {
    run_scenarios([scenario(
        "in the advisory window",
        warm_hour(),
        [at(Advisory, DENIES, fetched_elsewhere(CallResult::Credentials(1))), at(Now, Issues, all_immediate(DENIED))],
    )])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_warmers_hold_is_cut_short_when_the_mandatory_window_opens() {
    run_scenarios([scenario(
        "a failure two minutes before it",
        warm_hour(),
        [
            unasked_at(Mandatory - minutes(2), DOWN, 1),
            unasked_at(Mandatory - TICK, DOWN, 0),
            unasked_at(Mandatory, Issues, 1),
            at(Now, Issues, all_immediate(CallResult::Credentials(2))),
        ],
    )])
    .await;
}
