//! Row: credentials without expiry, kept for `max_age` and fetched again as in the advisory window; and credentials
//! with a `max_age` of their own.

use super::*;

#[tokio::test]
async fn unexpiring_credentials_are_refetched_after_max_age() {
    let brief = RefreshPolicy::default().max_age(minutes(5));
    for (given, age) in [(unexpiring(), minutes(15)), (unexpiring().with_policy(brief), minutes(5))] {
        run_scenarios([scenario(
            format!("after {} s, at most a tenth sooner", age.as_secs()),
            given,
            [
                at(Issued + (age * 9 / 10 - TICK), Issues, all_immediate(CallResult::Credentials(1))),
                at(Advisory - TICK, Issues, all_immediate(CallResult::Credentials(1))),
                at(Issued + age, Issues, one_fetches(CallResult::Credentials(2), CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Credentials(2))),
                at(LastFetch + (age * 9 / 10 - TICK), Issues, all_immediate(CallResult::Credentials(2))),
                at(
                    LastFetch + age,
                    Issues,
                    one_fetches(CallResult::Credentials(3), CallResult::Credentials(2)),
                ),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn unexpiring_credentials_are_served_during_outage() {
    run_scenarios([scenario(
        "with the long hold throughout",
        unexpiring(),
        [
            at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
            at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
            at(
                LastFetch + seconds(600),
                DOWN,
                one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
            ),
            at(
                Issued + minutes(60 * 24 * 365),
                DOWN,
                one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
            ),
            at(LastFetch + (seconds(300) - TICK), DOWN, all_immediate(CallResult::Credentials(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn max_age_of_credentials_opens_advisory_window() {
    run_scenarios([
        scenario(
            "sooner than the window",
            expiring_after(minutes(60)).with_max_age(minutes(10)),
            [
                at(Issued + (minutes(9) - TICK), Issues, all_immediate(CallResult::Credentials(1))),
                at(
                    Issued + minutes(10),
                    DOWN,
                    one_fetches(CallResult::Credentials(1), CallResult::Credentials(1)),
                ),
                at(Mandatory, DOWN, all_wait(CallResult::Credentials(1))),
                at(Expiry, Issues, all_wait(CallResult::Credentials(2))),
            ],
        ),
        scenario(
            "later than the window",
            expiring_after(minutes(60)).with_max_age(minutes(59)),
            [at(
                Expiry - minutes(15),
                Issues,
                one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
            )],
        ),
        scenario(
            "instead of the policy's, for credentials without expiry",
            unexpiring().with_max_age(minutes(30)),
            [
                at(Issued + (minutes(27) - TICK), Issues, all_immediate(CallResult::Credentials(1))),
                at(
                    Issued + minutes(30),
                    Issues,
                    one_fetches(CallResult::Credentials(2), CallResult::Credentials(1)),
                ),
            ],
        ),
    ])
    .await;
}
