//! Row: a failure that needs a person. The current credentials are served until they expire, no caller retries in a
//! loop, and an explicit refresh calls upstream at once.

use super::*;

fn one_hour() -> InitialState {
    expiring_after(minutes(60))
}

fn twelve_hours() -> InitialState {
    expiring_after(minutes(12 * 60))
}

/// Upstream is called as the advisory window opens and 300 to 600 seconds after each attempt, and no sooner.
fn with_long_backoff(name: &str, given: InitialState, observed: fn(CallResult) -> Observation) -> Scenario {
    let fetched = |when| at(when, NEEDS_INTERACTION, observed(CallResult::Credentials(1)));
    let too_soon = || {
        at(LastFetch + (seconds(300) - TICK), NEEDS_INTERACTION, all_immediate(CallResult::Credentials(1)))
    };
    scenario(
        name,
        given,
        [
            fetched(Advisory.into()),
            at(Now, NEEDS_INTERACTION, all_immediate(CallResult::Credentials(1))),
            too_soon(),
            fetched(LastFetch + seconds(600)),
            too_soon(),
            fetched(LastFetch + seconds(600)),
        ],
    )
}

fn one_fetches_others_cached(result: CallResult) -> Observation {
    one_fetches(result, CallResult::Credentials(1))
}

#[tokio::test(start_paused = true)]
async fn interaction_required_advisory_backs_off_300_to_600_s() {
    run_scenarios([
        with_long_backoff("any caller", twelve_hours(), one_fetches_others_cached),
        with_long_backoff("the warmer", twelve_hours().with_background_refresh(), fetched_elsewhere),
        with_long_backoff(
            "with expired credentials served",
            twelve_hours().serving_expired(),
            one_fetches_others_cached,
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn interaction_required_backoff_ignores_mandatory_window() {
    run_scenarios([
        scenario(
            "before the window",
            one_hour(),
            [
                at(
                    Mandatory - minutes(1),
                    NEEDS_INTERACTION,
                    one_fetches_others_cached(CallResult::Credentials(1)),
                ),
                at(Mandatory, NEEDS_INTERACTION, all_immediate(CallResult::Credentials(1))),
                at(Expiry - TICK, NEEDS_INTERACTION, all_immediate(CallResult::Credentials(1))),
                at(Expiry, NEEDS_INTERACTION, all_wait(INTERACTION_REQUIRED)),
            ],
        ),
        scenario(
            "in the window",
            one_hour(),
            [
                at(Mandatory, NEEDS_INTERACTION, all_wait(CallResult::Credentials(1))),
                at(LastFetch + seconds(5), NEEDS_INTERACTION, all_immediate(CallResult::Credentials(1))),
                at(Expiry - TICK, NEEDS_INTERACTION, all_immediate(CallResult::Credentials(1))),
                at(Expiry, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "by the warmer",
            one_hour().with_background_refresh(),
            [
                without_callers_at(Mandatory - minutes(1), NEEDS_INTERACTION, 1),
                without_callers_at(Mandatory, NEEDS_INTERACTION, 0),
                without_callers_at(Expiry, NEEDS_INTERACTION, 0),
                without_callers_at(Expiry + minutes(2), NEEDS_INTERACTION, 0),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn interaction_required_expired_backs_off_1_to_5_s() {
    run_scenarios([scenario(
        "returned unchanged, and remembered",
        one_hour(),
        [
            at(Expiry, NEEDS_INTERACTION, all_wait(INTERACTION_REQUIRED)),
            at(Now, Issues, all_immediate(INTERACTION_REQUIRED)),
            at(LastFetch + (seconds(1) - TICK), Issues, all_immediate(INTERACTION_REQUIRED)),
            at(LastFetch + seconds(5), NEEDS_INTERACTION, all_wait(INTERACTION_REQUIRED)),
            at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn interaction_required_serve_expired_serves_expired() {
    run_scenarios([scenario(
        "a minute after expiry",
        one_hour().serving_expired(),
        [
            at(Expiry + minutes(1), NEEDS_INTERACTION, all_wait(CallResult::Credentials(1))),
            at(LastFetch + (seconds(300) - TICK), Issues, all_immediate(CallResult::Credentials(1))),
            at(LastFetch + seconds(600), Issues, all_wait(CallResult::Credentials(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn interaction_required_uncached_backs_off() {
    run_scenarios([scenario(
        "cold",
        uncached(),
        [
            at(Issued, NEEDS_INTERACTION, all_wait(INTERACTION_REQUIRED)),
            at(Now, Issues, all_immediate(INTERACTION_REQUIRED)),
            at(LastFetch + (seconds(1) - TICK), Issues, all_immediate(INTERACTION_REQUIRED)),
            at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn interaction_required_refresh_bypasses_backoff() {
    run_scenarios([
        scenario(
            "while credentials are served",
            one_hour(),
            [
                at(Advisory, NEEDS_INTERACTION, one_fetches_others_cached(CallResult::Credentials(1))),
                during_refresh_at(Now, Issues, fetched_elsewhere(CallResult::Credentials(1))),
                at(Now, NEEDS_INTERACTION, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "without credentials, when other callers wait for the refresh too",
            uncached(),
            [
                at(Issued, NEEDS_INTERACTION, all_wait(INTERACTION_REQUIRED)),
                during_refresh_at(Now, Issues, all_wait(CallResult::Credentials(1))),
            ],
        ),
        scenario(
            "after expiry",
            one_hour(),
            [
                at(Expiry, NEEDS_INTERACTION, all_wait(INTERACTION_REQUIRED)),
                during_refresh_at(Now, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
    ])
    .await;
}
