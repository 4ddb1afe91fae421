//! Row: sets without expiry, kept for `max_age` and read again as in the advisory window; and sources that ask for it.

use super::*;

#[tokio::test]
async fn a_set_without_expiry_is_read_again_after_max_age() {
    let brief = RefreshPolicy::default().max_age(minutes(5));
    for (given, age) in [(unexpiring(), minutes(15)), (unexpiring().with_policy(brief), minutes(5))] {
        run_scenarios([scenario(
            format!("after {} s, at most a tenth sooner", age.as_secs()),
            given,
            [
                at(Issued + (age * 9 / 10 - TICK), Issues, all_immediate(CallResult::Credentials(1))),
                at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
                at(Issued + age, Issues, one_asks(CallResult::Credentials(2), CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
                at(LastFetch + (age * 9 / 10 - TICK), Issues, all_immediate(CallResult::Credentials(2))),
                at(LastFetch + age, Issues, one_asks(CallResult::Credentials(3), CallResult::Credentials(2))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn a_set_without_expiry_is_served_however_long_upstream_is_down() {
    run_scenarios([scenario(
        "with the long hold throughout",
        unexpiring(),
        [
            at(Advisory, DOWN, one_asks(CallResult::Credentials(1), CallResult::Credentials(1))),
            at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
            at(LastFetch + seconds(600), DOWN, one_asks(CallResult::Credentials(1), CallResult::Credentials(1))),
            at(Issued + minutes(60 * 24 * 365), DOWN, one_asks(CallResult::Credentials(1), CallResult::Credentials(1))),
            at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn a_source_that_names_an_age_is_asked_by_then_or_when_the_window_opens() {
    run_scenarios([
        scenario(
            "sooner than the window",
            expiring_after(minutes(60)).aging_after(minutes(10)),
            [
                at(Issued + (minutes(9) - TICK), Issues, all_immediate(CallResult::Credentials(1))),
                at(Issued + minutes(10), DOWN, one_asks(CallResult::Credentials(1), CallResult::Credentials(1))),
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                at(Expiry, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "later than the window",
            expiring_after(minutes(60)).aging_after(minutes(59)),
            [at(Expiry - minutes(15), Issues, one_asks(CallResult::Credentials(2), CallResult::Credentials(1)))],
        ),
        scenario(
            "instead of the policy's, for a set without expiry",
            unexpiring().aging_after(minutes(30)),
            [
                at(Issued + (minutes(27) - TICK), Issues, all_immediate(CallResult::Credentials(1))),
                at(Issued + minutes(30), Issues, one_asks(CallResult::Credentials(2), CallResult::Credentials(1))),
            ],
        ),
    ])
    .await;
}
