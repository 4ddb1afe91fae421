//! Row: a failure that needs a person. The set in hand is served to its end, nobody asks in a loop, and who asks by hand
//! asks at once.

use super::*;

fn hour() -> Given {
    lasting(minutes(60))
}

fn half_a_day() -> Given {
    lasting(minutes(12 * 60))
}

/// Asked as the advisory window opens and 300 to 600 seconds after each attempt, and no sooner.
fn patiently(name: &str, given: Given, asks: fn(Told) -> Seen) -> Scenario {
    let asked = |when| at(when, NEEDS_PERSON, asks(Told::Set(1)));
    let too_soon = || at(Attempt + (seconds(300) - TICK), NEEDS_PERSON, at_once(Told::Set(1)));
    scenario(
        name,
        given,
        [
            asked(Advisory.into()),
            at(Now, NEEDS_PERSON, at_once(Told::Set(1))),
            too_soon(),
            asked(Attempt + seconds(600)),
            too_soon(),
            asked(Attempt + seconds(600)),
        ],
    )
}

fn one(told: Told) -> Seen {
    one_asks(told, Told::Set(1))
}

#[tokio::test(start_paused = true)]
async fn in_the_advisory_window_the_set_is_served_and_a_person_is_asked_every_300_to_600_seconds() {
    play([
        patiently("whoever asks", half_a_day(), one),
        patiently("the warmer", half_a_day().kept_warm(), another_asks),
        patiently("with expired sets served", half_a_day().serving_expired(), one),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_hold_is_not_cut_short_when_the_mandatory_window_opens() {
    play([
        scenario(
            "before the window",
            hour(),
            [
                at(Mandatory - minutes(1), NEEDS_PERSON, one(Told::Set(1))),
                at(Mandatory, NEEDS_PERSON, at_once(Told::Set(1))),
                at(Expiry - TICK, NEEDS_PERSON, at_once(Told::Set(1))),
                at(Expiry, NEEDS_PERSON, all_wait(UNATTENDED)),
            ],
        ),
        scenario(
            "in the window",
            hour(),
            [
                at(Mandatory, NEEDS_PERSON, all_wait(Told::Set(1))),
                at(Attempt + seconds(5), NEEDS_PERSON, at_once(Told::Set(1))),
                at(Expiry - TICK, NEEDS_PERSON, at_once(Told::Set(1))),
                at(Expiry, Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "by the warmer",
            hour().kept_warm(),
            [
                unasked_at(Mandatory - minutes(1), NEEDS_PERSON, 1),
                unasked_at(Mandatory, NEEDS_PERSON, 0),
                unasked_at(Expiry, NEEDS_PERSON, 0),
                unasked_at(Expiry + minutes(2), NEEDS_PERSON, 0),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn after_expiry_it_is_the_error_and_one_asks_every_one_to_five_seconds() {
    play([scenario(
        "told as it is, and remembered",
        hour(),
        [
            at(Expiry, NEEDS_PERSON, all_wait(UNATTENDED)),
            at(Now, Issues, at_once(UNATTENDED)),
            at(Attempt + (seconds(1) - TICK), Issues, at_once(UNATTENDED)),
            at(Attempt + seconds(5), NEEDS_PERSON, all_wait(UNATTENDED)),
            at(Attempt + seconds(5), Issues, all_wait(Told::Set(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn with_serve_expired_the_old_set_is_served_for_as_long_as_nobody_is_there() {
    play([scenario(
        "a minute after expiry",
        hour().serving_expired(),
        [
            at(Expiry + minutes(1), NEEDS_PERSON, all_wait(Told::Set(1))),
            at(Attempt + (seconds(300) - TICK), Issues, at_once(Told::Set(1))),
            at(Attempt + seconds(600), Issues, all_wait(Told::Set(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn with_nothing_ever_cached_it_is_remembered_too() {
    play([scenario(
        "cold",
        nothing(),
        [
            at(Issue, NEEDS_PERSON, all_wait(UNATTENDED)),
            at(Now, Issues, at_once(UNATTENDED)),
            at(Attempt + (seconds(1) - TICK), Issues, at_once(UNATTENDED)),
            at(Attempt + seconds(5), Issues, all_wait(Told::Set(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn a_refresh_by_hand_asks_at_once_whatever_is_held() {
    play([
        scenario(
            "while the set is served",
            hour(),
            [
                at(Advisory, NEEDS_PERSON, one(Told::Set(1))),
                during_refresh_at(Now, Issues, another_asks(Told::Set(1))),
                at(Now, NEEDS_PERSON, at_once(Told::Set(2))),
            ],
        ),
        scenario(
            "with nothing in hand, and whoever asks meanwhile waits with it",
            nothing(),
            [
                at(Issue, NEEDS_PERSON, all_wait(UNATTENDED)),
                during_refresh_at(Now, Issues, all_wait(Told::Set(1))),
            ],
        ),
        scenario(
            "after expiry",
            hour(),
            [
                at(Expiry, NEEDS_PERSON, all_wait(UNATTENDED)),
                during_refresh_at(Now, Issues, all_wait(Told::Set(2))),
            ],
        ),
    ])
    .await;
}
