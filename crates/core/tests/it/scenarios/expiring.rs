//! Rows: fresh, advisory, mandatory, expired, while upstream responds.

use super::*;

fn one_hour() -> InitialState {
    expiring_after(minutes(60))
}

#[tokio::test]
async fn fresh_returns_cached_credentials() {
    run_scenarios([scenario(
        "at birth, half-way, and a tick before the window",
        one_hour(),
        [
            at(Issued, Issues, all_immediate(CallResult::Credentials(1))),
            at(Issued + minutes(30), DOWN, all_immediate(CallResult::Credentials(1))),
            at(Advisory - TICK, DENIES, all_immediate(CallResult::Credentials(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn advisory_one_caller_refreshes_others_are_served() {
    run_scenarios([
        scenario(
            "once, and the new credentials are fresh",
            one_hour(),
            [
                at(Advisory, Issues, one_fetches(CallResult::Credentials(2), CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
                at(Expiry + TICK, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "to the end of the window",
            one_hour(),
            [at(
                Mandatory - TICK,
                Issues,
                one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
            )],
        ),
    ])
    .await;
}

#[tokio::test]
async fn mandatory_all_callers_join_one_refresh() {
    for when in [Mandatory.into(), Mandatory + seconds(30), Expiry - TICK] {
        run_scenarios([scenario(
            "from its edge to the last tick",
            one_hour(),
            [
                at(when, Issues, all_wait(CallResult::Credentials(2))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn expired_all_callers_join_one_refresh() {
    for when in [Expiry.into(), Expiry + TICK, Expiry + minutes(60 * 24 * 365)] {
        run_scenarios([scenario(
            "from its edge for ever",
            one_hour(),
            [
                at(when, Issues, all_wait(CallResult::Credentials(2))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn suspended_machine_resumes_in_current_window() {
    run_scenarios([
        scenario(
            "from fresh past every window",
            one_hour(),
            [
                at(Issued + minutes(5), Issues, all_immediate(CallResult::Credentials(1))),
                at(Expiry + minutes(600), Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "from fresh into the last minute",
            one_hour(),
            [
                at(Issued + minutes(5), Issues, all_immediate(CallResult::Credentials(1))),
                at(Expiry - seconds(1), DOWN, all_wait(CallResult::Credentials(1))),
            ],
        ),
        scenario(
            "from a hold in the advisory window into the last minute",
            one_hour(),
            [
                at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                at(Mandatory + seconds(59), Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "from a hold in the advisory window past expiry",
            one_hour(),
            [
                at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                at(Expiry + minutes(600), DOWN, all_wait(EXPIRED)),
                at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
    ])
    .await;
}
