//! Row: clocks. A jump back across each edge, and out of each hold.

use super::*;

fn one_hour() -> InitialState {
    expiring_after(minutes(60))
}

#[tokio::test]
async fn clock_rewind_returns_to_earlier_window() {
    run_scenarios([
        scenario(
            "from advisory to fresh",
            one_hour(),
            [
                at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
            ],
        ),
        scenario(
            "from mandatory to advisory",
            one_hour(),
            [
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                at(
                    Mandatory - TICK,
                    Issues,
                    one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
                ),
            ],
        ),
        scenario(
            "from mandatory to before the credentials were issued",
            one_hour(),
            [
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                at(Issued - minutes(60 * 24), Issues, all_immediate(CallResult::Credentials(1))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn clock_rewind_never_revives_expired() {
    for (name, to) in [
        ("to the mandatory window", Expiry - TICK),
        ("to the advisory window", Mandatory - TICK),
        ("to when it was fresh", Issued + TICK),
        ("to before it was issued", Issued - minutes(60)),
    ] {
        run_scenarios([
            scenario(
                format!("{name}, upstream down"),
                one_hour(),
                [
                    at(Expiry, DOWN, all_wait(EXPIRED)),
                    at(to, DOWN, all_wait(EXPIRED)),
                    at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
                ],
            ),
            scenario(
                format!("{name}, upstream back"),
                one_hour(),
                [at(Expiry, DOWN, all_wait(EXPIRED)), at(to, Issues, all_wait(CallResult::Credentials(2)))],
            ),
        ])
        .await;
    }
}

#[tokio::test]
async fn clock_rewind_never_revives_rejected() {
    run_scenarios([scenario(
        "an hour back",
        one_hour(),
        [
            rejected_at(Issued + minutes(10), DOWN, all_wait(EXPIRED)),
            at(Issued - minutes(50), Issues, all_wait(CallResult::Credentials(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn clock_rewind_lifts_backoff() {
    run_scenarios([
        scenario(
            "the long one",
            expiring_after(minutes(12 * 60)),
            [
                at(
                    Advisory + minutes(10),
                    DOWN,
                    one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
                ),
                at(Now - TICK, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                at(
                    Now - minutes(5),
                    Issues,
                    one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
                ),
            ],
        ),
        scenario(
            "the short one",
            one_hour(),
            [
                at(Mandatory + seconds(30), DOWN, all_wait(CallResult::Credentials(1))),
                at(Now - TICK, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "a permanent failure's",
            one_hour(),
            [
                at(Advisory + minutes(1), DENIES, one_fetches(DENIED, CallResult::Credentials(1))),
                at(Now - TICK, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
    ])
    .await;
}
