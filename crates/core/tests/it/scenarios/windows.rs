//! Rows: the advisory window by lifetime, the mandatory window, jitter. Where each window opens, to the nanosecond.

use super::*;

/// Whatever the session's jitter: fresh until the window at its widest, stale from the window at its narrowest.
fn advisory_window_opens(life: Duration, window: Duration) -> Scenario {
    scenario(
        format!(
            "credentials of {} s are worth replacing {} s before their end",
            life.as_secs(),
            window.as_secs()
        ),
        expiring_after(life),
        [
            at(Issued, Issues, all_immediate(CallResult::Credentials(1))),
            at(Expiry - window * 11 / 10 - TICK, Issues, all_immediate(CallResult::Credentials(1))),
            at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
            at(Expiry - window, Issues, one_fetches(CallResult::Credentials(2), CallResult::Credentials(1))),
        ],
    )
}

#[tokio::test]
async fn advisory_window_follows_lifetime() {
    run_scenarios([
        advisory_window_opens(minutes(6), seconds(90)),
        advisory_window_opens(minutes(10) - seconds(1), seconds(599) / 4),
        advisory_window_opens(minutes(10), minutes(5)),
        advisory_window_opens(minutes(15), minutes(5)),
        advisory_window_opens(minutes(20), minutes(5)),
        advisory_window_opens(minutes(20) + seconds(1), minutes(15)),
        advisory_window_opens(minutes(60), minutes(15)),
        advisory_window_opens(minutes(90) - seconds(1), minutes(15)),
        advisory_window_opens(minutes(90), minutes(60)),
        advisory_window_opens(minutes(12 * 60), minutes(60)),
    ])
    .await;
}

#[tokio::test]
async fn window_edge_belongs_to_staler_side() {
    let hour = || expiring_after(minutes(60));
    run_scenarios([
        scenario(
            "a tick before the advisory window no caller fetches, at its edge one does",
            hour(),
            [
                at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
                at(Advisory, Issues, one_fetches(CallResult::Credentials(2), CallResult::Credentials(1))),
            ],
        ),
        scenario(
            "a tick before the mandatory window the others do not wait",
            hour(),
            [at(
                Mandatory - TICK,
                Issues,
                one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
            )],
        ),
        scenario(
            "at the edge of the mandatory window all wait",
            hour(),
            [at(Mandatory, Issues, all_wait(CallResult::Credentials(2)))],
        ),
        scenario(
            "a tick before expiry the credentials still cover for a failure",
            hour(),
            [at(Expiry - TICK, DOWN, all_wait(CallResult::Credentials(1)))],
        ),
        scenario("at expiry they do not", hour(), [at(Expiry, DOWN, all_wait(EXPIRED))]),
    ])
    .await;
}

#[tokio::test]
async fn windows_follow_lifetime_of_new_credentials() {
    run_scenarios([
        scenario(
            "after credentials of an hour come those of a quarter of an hour",
            expiring_after(minutes(60)),
            [
                at(
                    Expiry - minutes(15),
                    IssuesFor(minutes(15)),
                    one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
                ),
                at(Expiry - minutes(6), Issues, all_immediate(CallResult::Credentials(2))),
                at(
                    Expiry - minutes(5),
                    Issues,
                    one_fetches(CallResult::Credentials(3), CallResult::Credentials(2)),
                ),
                at(Expiry + minutes(38), Issues, all_immediate(CallResult::Credentials(3))),
            ],
        ),
        scenario(
            "after credentials of a quarter of an hour come those of half a day",
            expiring_after(minutes(15)),
            [
                at(
                    Expiry - minutes(5),
                    IssuesFor(minutes(12 * 60)),
                    one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
                ),
                at(Expiry + minutes(10 * 60), Issues, all_immediate(CallResult::Credentials(2))),
                at(
                    Expiry + minutes(11 * 60),
                    Issues,
                    one_fetches(CallResult::Credentials(3), CallResult::Credentials(2)),
                ),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn short_lifetime_is_replaced_in_last_quarter() {
    run_scenarios([
        scenario(
            "five minutes: fresh for three quarters, then one caller fetches and the others are served",
            expiring_after(minutes(5)),
            [
                at(Issued, Issues, all_immediate(CallResult::Credentials(1))),
                at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
                at(
                    Expiry - seconds(75),
                    IssuesFor(minutes(5)),
                    one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
                ),
                at(LastFetch + seconds(200), DOWN, all_immediate(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "two minutes: fresh for three quarters, then all wait",
            expiring_after(minutes(2)),
            [
                at(Issued + seconds(86), Issues, all_immediate(CallResult::Credentials(1))),
                at(Expiry - seconds(30), IssuesFor(minutes(2)), all_wait(CallResult::Credentials(2))),
                at(LastFetch + seconds(86), Issues, all_immediate(CallResult::Credentials(2))),
                at(LastFetch + seconds(90), Issues, all_wait(CallResult::Credentials(3))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn advisory_window_configured_overrides_default() {
    let policy = RefreshPolicy::default().advisory_window(minutes(10));
    let given = InitialState { policy, ..expiring_after(minutes(60)) };
    run_scenarios([scenario(
        "ten minutes before the end of an hour",
        given,
        [
            at(Expiry - minutes(12), Issues, all_immediate(CallResult::Credentials(1))),
            at(
                Expiry - minutes(10),
                Issues,
                one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
            ),
        ],
    )])
    .await;
}
