//! Rows: the advisory window by lifetime, the mandatory window, jitter. Where each window opens, to the nanosecond.

use super::*;

/// Whatever the session's jitter: fresh until the window at its widest, stale from the window at its narrowest.
fn opens(life: Duration, window: Duration) -> Scenario {
    scenario(
        format!("a set of {} s is worth replacing {} s before its end", life.as_secs(), window.as_secs()),
        lasting(life),
        [
            at(Issue, Issues, at_once(Told::Set(1))),
            at(Expiry - window * 11 / 10 - TICK, Issues, at_once(Told::Set(1))),
            at(Advisory - TICK, Issues, at_once(Told::Set(1))),
            at(Expiry - window, Issues, one_asks(Told::Set(2), Told::Set(1))),
        ],
    )
}

#[tokio::test]
async fn the_advisory_window_follows_the_lifetime() {
    play([
        opens(minutes(6), seconds(90)),
        opens(minutes(10) - seconds(1), seconds(599) / 4),
        opens(minutes(10), minutes(5)),
        opens(minutes(15), minutes(5)),
        opens(minutes(20), minutes(5)),
        opens(minutes(20) + seconds(1), minutes(15)),
        opens(minutes(60), minutes(15)),
        opens(minutes(90) - seconds(1), minutes(15)),
        opens(minutes(90), minutes(60)),
        opens(minutes(12 * 60), minutes(60)),
    ])
    .await;
}

#[tokio::test]
async fn each_edge_belongs_to_the_staler_side() {
    let hour = || lasting(minutes(60));
    play([
        scenario(
            "a tick before the advisory window nobody asks, at its edge one does",
            hour(),
            [
                at(Advisory - TICK, Issues, at_once(Told::Set(1))),
                at(Advisory, Issues, one_asks(Told::Set(2), Told::Set(1))),
            ],
        ),
        scenario(
            "a tick before the mandatory window the others do not wait",
            hour(),
            [at(Mandatory - TICK, Issues, one_asks(Told::Set(2), Told::Set(1)))],
        ),
        scenario(
            "at the edge of the mandatory window all wait",
            hour(),
            [at(Mandatory, Issues, all_wait(Told::Set(2)))],
        ),
        scenario(
            "a tick before expiry the set still covers for a failure",
            hour(),
            [at(Expiry - TICK, DOWN, all_wait(Told::Set(1)))],
        ),
        scenario("at expiry it does not", hour(), [at(Expiry, DOWN, all_wait(EXPIRED))]),
    ])
    .await;
}

#[tokio::test]
async fn the_windows_are_those_of_each_new_set() {
    play([
        scenario(
            "after an hour's set comes one of a quarter of an hour",
            lasting(minutes(60)),
            [
                at(Expiry - minutes(15), IssuesFor(minutes(15)), one_asks(Told::Set(2), Told::Set(1))),
                at(Expiry - minutes(6), Issues, at_once(Told::Set(2))),
                at(Expiry - minutes(5), Issues, one_asks(Told::Set(3), Told::Set(2))),
                at(Expiry + minutes(38), Issues, at_once(Told::Set(3))),
            ],
        ),
        scenario(
            "after a set of a quarter of an hour comes one of half a day",
            lasting(minutes(15)),
            [
                at(Expiry - minutes(5), IssuesFor(minutes(12 * 60)), one_asks(Told::Set(2), Told::Set(1))),
                at(Expiry + minutes(10 * 60), Issues, at_once(Told::Set(2))),
                at(Expiry + minutes(11 * 60), Issues, one_asks(Told::Set(3), Told::Set(2))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn short_credentials_are_replaced_in_their_last_quarter() {
    play([
        scenario(
            "five minutes: fresh for three quarters, then one caller asks and the others are served",
            lasting(minutes(5)),
            [
                at(Issue, Issues, at_once(Told::Set(1))),
                at(Advisory - TICK, Issues, at_once(Told::Set(1))),
                at(Expiry - seconds(75), IssuesFor(minutes(5)), one_asks(Told::Set(2), Told::Set(1))),
                at(Attempt + seconds(200), DOWN, at_once(Told::Set(2))),
            ],
        ),
        scenario(
            "two minutes: fresh for three quarters, then all wait",
            lasting(minutes(2)),
            [
                at(Issue + seconds(86), Issues, at_once(Told::Set(1))),
                at(Expiry - seconds(30), IssuesFor(minutes(2)), all_wait(Told::Set(2))),
                at(Attempt + seconds(86), Issues, at_once(Told::Set(2))),
                at(Attempt + seconds(90), Issues, all_wait(Told::Set(3))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn configured_advisory_window_opens_as_configured() {
    let policy = RefreshPolicy::default().advisory_window(minutes(10));
    let given = Given { policy, ..lasting(minutes(60)) };
    play([scenario(
        "ten minutes before the end of an hour",
        given,
        [
            at(Expiry - minutes(12), Issues, at_once(Told::Set(1))),
            at(Expiry - minutes(10), Issues, one_asks(Told::Set(2), Told::Set(1))),
        ],
    )])
    .await;
}
