//! Row: a service rejected the set. It counts as expired from then on, and no hold is bypassed.

use super::*;

fn hour() -> Given {
    lasting(minutes(60))
}

#[tokio::test]
async fn a_rejected_set_is_replaced_in_every_window() {
    for (name, when) in [
        ("fresh", When::from(Issue)),
        ("advisory", Advisory.into()),
        ("mandatory", Mandatory.into()),
        ("in the last tick", Expiry - TICK),
    ] {
        play([scenario(
            name,
            hour(),
            [rejected_at(when, Issues, all_wait(Told::Set(2))), at(Now, Issues, at_once(Told::Set(2)))],
        )])
        .await;
    }
}

#[tokio::test]
async fn a_rejected_set_does_not_cover_for_a_failure() {
    play([scenario(
        "half an hour before its end",
        hour(),
        [
            rejected_at(Issue + minutes(30), DOWN, all_wait(EXPIRED)),
            at(Attempt + (seconds(1) - TICK), Issues, at_once(EXPIRED)),
            at(Attempt + seconds(5), Issues, all_wait(Told::Set(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn a_rejection_does_not_bypass_the_hold_but_makes_it_that_of_an_expired_set() {
    play([
        scenario(
            "at once after a failure in the advisory window",
            hour(),
            [
                at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
                rejected_at(Attempt + (seconds(1) - TICK), Issues, at_once(EXPIRED)),
                at(Attempt + seconds(5), Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "some seconds after it",
            hour(),
            [
                at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
                rejected_at(Attempt + seconds(5), Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "in the mandatory window",
            hour(),
            [
                at(Mandatory, DOWN, all_wait(Told::Set(1))),
                rejected_at(Attempt + (seconds(1) - TICK), Issues, at_once(EXPIRED)),
                at(Attempt + seconds(5), Issues, all_wait(Told::Set(2))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_set_without_expiry_can_be_rejected_too() {
    play([scenario(
        "and upstream is asked",
        unending(),
        [rejected_at(Issue, Issues, all_wait(Told::Set(2))), at(Now, Issues, at_once(Told::Set(2)))],
    )])
    .await;
}
