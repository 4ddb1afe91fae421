//! Beside the rows: an explicit refresh, whatever the freshness and the backoff, and the callers meanwhile.

use super::*;

fn one_hour() -> InitialState {
    expiring_after(minutes(60))
}

#[tokio::test]
async fn refresh_in_progress_before_mandatory_blocks_no_caller() {
    run_scenarios([
        scenario(
            "fresh",
            one_hour(),
            [
                during_refresh_at(Issued, Issues, fetched_elsewhere(CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "advisory",
            one_hour(),
            [during_refresh_at(Advisory, Issues, fetched_elsewhere(CallResult::Credentials(1)))],
        ),
        scenario(
            "advisory, in a hold",
            one_hour(),
            [
                at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                during_refresh_at(Now, DOWN, fetched_elsewhere(CallResult::Credentials(1))),
                at(LastFetch + (seconds(300) - TICK), Issues, all_immediate(CallResult::Credentials(1))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn refresh_in_progress_from_mandatory_on_is_joined() {
    run_scenarios([
        scenario(
            "mandatory",
            one_hour(),
            [during_refresh_at(Mandatory, Issues, all_wait(CallResult::Credentials(2)))],
        ),
        scenario(
            "mandatory, in a hold",
            one_hour(),
            [
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                during_refresh_at(Now, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "expired, in a hold",
            one_hour(),
            [
                at(Expiry, DOWN, all_wait(EXPIRED)),
                during_refresh_at(Now, DOWN, all_wait(EXPIRED)),
                during_refresh_at(Now, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
    ])
    .await;
}
