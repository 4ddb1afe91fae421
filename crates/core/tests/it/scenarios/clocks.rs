//! Row: clocks. A jump back across each edge, and out of each hold.

use super::*;

fn hour() -> Given {
    lasting(minutes(60))
}

#[tokio::test]
async fn a_jump_back_out_of_a_window_is_a_jump_into_the_one_before() {
    play([
        scenario(
            "from advisory to fresh",
            hour(),
            [
                at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
                at(Advisory - TICK, Issues, at_once(Told::Set(1))),
            ],
        ),
        scenario(
            "from mandatory to advisory",
            hour(),
            [
                at(Mandatory, DOWN, all_wait(Told::Set(1))),
                at(Mandatory - TICK, Issues, one_asks(Told::Set(2), Told::Set(1))),
            ],
        ),
        scenario(
            "from mandatory to before the set was issued",
            hour(),
            [
                at(Mandatory, DOWN, all_wait(Told::Set(1))),
                at(Issue - minutes(60 * 24), Issues, at_once(Told::Set(1))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_jump_back_never_revives_what_was_seen_expired() {
    for (name, to) in [
        ("to the mandatory window", Expiry - TICK),
        ("to the advisory window", Mandatory - TICK),
        ("to when it was fresh", Issue + TICK),
        ("to before it was issued", Issue - minutes(60)),
    ] {
        play([
            scenario(
                format!("{name}, upstream down"),
                hour(),
                [
                    at(Expiry, DOWN, all_wait(EXPIRED)),
                    at(to, DOWN, all_wait(EXPIRED)),
                    at(Attempt + seconds(5), Issues, all_wait(Told::Set(2))),
                ],
            ),
            scenario(
                format!("{name}, upstream back"),
                hour(),
                [at(Expiry, DOWN, all_wait(EXPIRED)), at(to, Issues, all_wait(Told::Set(2)))],
            ),
        ])
        .await;
    }
}

#[tokio::test]
async fn a_jump_back_revives_nothing_that_was_rejected() {
    play([scenario(
        "an hour back",
        hour(),
        [
            rejected_at(Issue + minutes(10), DOWN, all_wait(EXPIRED)),
            at(Issue - minutes(50), Issues, all_wait(Told::Set(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn a_jump_back_lifts_a_hold_rather_than_prolonging_it() {
    play([
        scenario(
            "the long one",
            lasting(minutes(12 * 60)),
            [
                at(Advisory + minutes(10), DOWN, one_asks(Told::Set(1), Told::Set(1))),
                at(Now - TICK, DOWN, one_asks(Told::Set(1), Told::Set(1))),
                at(Now - minutes(5), Issues, one_asks(Told::Set(2), Told::Set(1))),
            ],
        ),
        scenario(
            "the short one",
            hour(),
            [
                at(Mandatory + seconds(30), DOWN, all_wait(Told::Set(1))),
                at(Now - TICK, Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "a permanent failure's",
            hour(),
            [
                at(Advisory + minutes(1), REFUSES, one_asks(DENIED, Told::Set(1))),
                at(Now - TICK, Issues, all_wait(Told::Set(2))),
            ],
        ),
    ])
    .await;
}
