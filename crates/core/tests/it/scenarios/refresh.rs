//! Beside the rows: a refresh that was asked for, whatever the freshness and the hold, and who asks meanwhile.

use super::*;

fn hour() -> Given {
    lasting(minutes(60))
}

#[tokio::test]
async fn while_the_set_has_time_left_nobody_waits_for_a_refresh_that_another_asked_for() {
    play([
        scenario(
            "fresh",
            hour(),
            [
                during_refresh_at(Issue, Issues, another_asks(Told::Set(1))),
                at(Now, Issues, at_once(Told::Set(2))),
            ],
        ),
        scenario("advisory", hour(), [during_refresh_at(Advisory, Issues, another_asks(Told::Set(1)))]),
        scenario(
            "advisory, in a hold",
            hour(),
            [
                at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
                during_refresh_at(Now, DOWN, another_asks(Told::Set(1))),
                at(Attempt + (seconds(300) - TICK), Issues, at_once(Told::Set(1))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn in_the_last_minute_and_after_it_all_join_a_refresh_that_another_asked_for() {
    play([
        scenario("mandatory", hour(), [during_refresh_at(Mandatory, Issues, all_wait(Told::Set(2)))]),
        scenario(
            "mandatory, in a hold",
            hour(),
            [
                at(Mandatory, DOWN, all_wait(Told::Set(1))),
                during_refresh_at(Now, Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "expired, in a hold",
            hour(),
            [
                at(Expiry, DOWN, all_wait(EXPIRED)),
                during_refresh_at(Now, DOWN, all_wait(EXPIRED)),
                during_refresh_at(Now, Issues, all_wait(Told::Set(2))),
            ],
        ),
    ])
    .await;
}
