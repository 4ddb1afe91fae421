//! Rows: fresh, advisory, mandatory, expired, while upstream answers.

use super::*;

fn hour() -> Given {
    lasting(minutes(60))
}

#[tokio::test]
async fn fresh_returns_the_cached_set() {
    play([scenario(
        "at birth, half-way, and a tick before the window",
        hour(),
        [
            at(Issue, Issues, at_once(Told::Set(1))),
            at(Issue + minutes(30), DOWN, at_once(Told::Set(1))),
            at(Advisory - TICK, REFUSES, at_once(Told::Set(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn advisory_lets_one_caller_refresh_while_the_others_are_served() {
    play([
        scenario(
            "once, and the new set is fresh",
            hour(),
            [
                at(Advisory, Issues, one_asks(Told::Set(2), Told::Set(1))),
                at(Now, Issues, at_once(Told::Set(2))),
                at(Expiry + TICK, Issues, at_once(Told::Set(2))),
            ],
        ),
        scenario(
            "to the end of the window",
            hour(),
            [at(Mandatory - TICK, Issues, one_asks(Told::Set(2), Told::Set(1)))],
        ),
    ])
    .await;
}

#[tokio::test]
async fn mandatory_has_all_join_the_one_refresh() {
    for when in [Mandatory.into(), Mandatory + seconds(30), Expiry - TICK] {
        play([scenario(
            "from its edge to the last tick",
            hour(),
            [at(when, Issues, all_wait(Told::Set(2))), at(Now, Issues, at_once(Told::Set(2)))],
        )])
        .await;
    }
}

#[tokio::test]
async fn expired_has_all_join_the_one_refresh() {
    for when in [Expiry.into(), Expiry + TICK, Expiry + minutes(60 * 24 * 365)] {
        play([scenario(
            "from its edge for ever",
            hour(),
            [at(when, Issues, all_wait(Told::Set(2))), at(Now, Issues, at_once(Told::Set(2)))],
        )])
        .await;
    }
}

#[tokio::test]
async fn a_suspended_machine_wakes_in_whatever_window_it_is() {
    play([
        scenario(
            "from fresh past every window",
            hour(),
            [
                at(Issue + minutes(5), Issues, at_once(Told::Set(1))),
                at(Expiry + minutes(600), Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "from fresh into the last minute",
            hour(),
            [
                at(Issue + minutes(5), Issues, at_once(Told::Set(1))),
                at(Expiry - seconds(1), DOWN, all_wait(Told::Set(1))),
            ],
        ),
        scenario(
            "from a hold in the advisory window into the last minute",
            hour(),
            [
                at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
                at(Mandatory + seconds(59), Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "from a hold in the advisory window past expiry",
            hour(),
            [
                at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
                at(Expiry + minutes(600), DOWN, all_wait(EXPIRED)),
                at(Attempt + seconds(5), Issues, all_wait(Told::Set(2))),
            ],
        ),
    ])
    .await;
}
