//! Row: a service rejected the credentials. They count as expired from then on, and no backoff is bypassed.

use super::*;

fn one_hour() -> InitialState {
    expiring_after(minutes(60))
}

#[tokio::test]
async fn rejected_credentials_are_replaced_in_every_window() {
    for (name, when) in [
        ("fresh", EdgeOffset::from(Issued)),
        ("advisory", Advisory.into()),
        ("mandatory", Mandatory.into()),
        ("in the last tick", Expiry - TICK),
    ] {
        run_scenarios([scenario(
            name,
            one_hour(),
            [
                rejected_at(when, Issues, all_wait(CallResult::Credentials(2))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn rejected_credentials_are_no_fallback() {
    run_scenarios([scenario(
        "half an hour before its end",
        one_hour(),
        [
            rejected_at(Issued + minutes(30), DOWN, all_wait(EXPIRED)),
            at(LastFetch + (seconds(1) - TICK), Issues, all_immediate(EXPIRED)),
            at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn rejected_credentials_use_short_backoff() {
    run_scenarios([
        scenario(
            "at once after a failure in the advisory window",
            one_hour(),
            [
                at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                rejected_at(LastFetch + (seconds(1) - TICK), Issues, all_immediate(EXPIRED)),
                at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "some seconds after it",
            one_hour(),
            [
                at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
                rejected_at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "in the mandatory window",
            one_hour(),
            [
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                rejected_at(LastFetch + (seconds(1) - TICK), Issues, all_immediate(EXPIRED)),
                at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn rejected_unexpiring_credentials_are_replaced() {
    run_scenarios([scenario(
        "and upstream is called",
        unexpiring(),
        [
            rejected_at(Issued, Issues, all_wait(CallResult::Credentials(2))),
            at(Now, Issues, all_immediate(CallResult::Credentials(2))),
        ],
    )])
    .await;
}
