//! Row: advisory, with the session kept warm. The warmer asks, and nobody waits.

use super::*;

fn warm_hour() -> Given {
    lasting(minutes(60)).kept_warm()
}

#[tokio::test(start_paused = true)]
async fn in_the_advisory_window_the_warmer_asks_and_nobody_waits() {
    play([
        scenario(
            "as it opens",
            warm_hour(),
            [
                at(Advisory - TICK, Issues, at_once(Told::Set(1))),
                at(Advisory, Issues, another_asks(Told::Set(1))),
                at(Now, Issues, at_once(Told::Set(2))),
            ],
        ),
        scenario(
            "unasked",
            warm_hour(),
            [
                unasked_at(Advisory - minutes(1), Issues, 0),
                unasked_at(Advisory, Issues, 1),
                at(Now, Issues, at_once(Told::Set(2))),
            ],
        ),
        scenario("as it ends", warm_hour(), [at(Mandatory - TICK, Issues, another_asks(Told::Set(1)))]),
        scenario(
            "a set without expiry too",
            unending().kept_warm(),
            [at(Advisory, Issues, another_asks(Told::Set(1))), at(Now, Issues, at_once(Told::Set(2)))],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_warmer_that_came_too_late_leaves_the_rules_as_they_are() {
    play([
        scenario("mandatory", warm_hour(), [at(Mandatory, Issues, all_wait(Told::Set(2)))]),
        scenario("expired", warm_hour(), [at(Expiry, Issues, all_wait(Told::Set(2)))]),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_warmer_keeps_to_the_hold() {
    play([scenario(
        "in the advisory window",
        lasting(minutes(12 * 60)).kept_warm(),
        [
            at(Advisory, DOWN, another_asks(Told::Set(1))),
            at(Attempt + (seconds(300) - TICK), DOWN, at_once(Told::Set(1))),
            at(Attempt + seconds(600), DOWN, another_asks(Told::Set(1))),
            at(Attempt + seconds(600), Issues, another_asks(Told::Set(1))),
            at(Now, Issues, at_once(Told::Set(2))),
        ],
    )])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_that_the_warmer_meets_stops_the_session() {
    play([scenario(
        "in the advisory window",
        warm_hour(),
        [at(Advisory, REFUSES, another_asks(Told::Set(1))), at(Now, Issues, at_once(DENIED))],
    )])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_warmers_hold_is_cut_short_when_the_mandatory_window_opens() {
    play([scenario(
        "a failure two minutes before it",
        warm_hour(),
        [
            unasked_at(Mandatory - minutes(2), DOWN, 1),
            unasked_at(Mandatory - TICK, DOWN, 0),
            unasked_at(Mandatory, Issues, 1),
            at(Now, Issues, at_once(Told::Set(2))),
        ],
    )])
    .await;
}
