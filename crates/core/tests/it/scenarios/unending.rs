//! Row: sets without expiry, kept for `max_age` and read again as in the advisory window; and sources that ask for it.

use super::*;

#[tokio::test]
async fn a_set_without_expiry_is_read_again_after_max_age() {
    let brief = RefreshPolicy::default().max_age(minutes(5));
    for (given, age) in [(unending(), minutes(15)), (unending().policy(brief), minutes(5))] {
        play([scenario(
            format!("after {} s, at most a tenth sooner", age.as_secs()),
            given,
            [
                at(Issue + (age * 9 / 10 - TICK), Issues, at_once(Told::Set(1))),
                at(Advisory - TICK, Issues, at_once(Told::Set(1))),
                at(Issue + age, Issues, one_asks(Told::Set(2), Told::Set(1))),
                at(Now, Issues, at_once(Told::Set(2))),
                at(Attempt + (age * 9 / 10 - TICK), Issues, at_once(Told::Set(2))),
                at(Attempt + age, Issues, one_asks(Told::Set(3), Told::Set(2))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn a_set_without_expiry_is_served_however_long_upstream_is_down() {
    play([scenario(
        "with the long hold throughout",
        unending(),
        [
            at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
            at(Attempt + (seconds(300) - TICK), DOWN, at_once(Told::Set(1))),
            at(Attempt + seconds(600), DOWN, one_asks(Told::Set(1), Told::Set(1))),
            at(Issue + minutes(60 * 24 * 365), DOWN, one_asks(Told::Set(1), Told::Set(1))),
            at(Attempt + (seconds(300) - TICK), DOWN, at_once(Told::Set(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn a_source_that_names_an_age_is_asked_by_then_or_when_the_window_opens() {
    play([
        scenario(
            "sooner than the window",
            lasting(minutes(60)).aging_after(minutes(10)),
            [
                at(Issue + (minutes(9) - TICK), Issues, at_once(Told::Set(1))),
                at(Issue + minutes(10), DOWN, one_asks(Told::Set(1), Told::Set(1))),
                at(Mandatory, DOWN, all_wait(Told::Set(1))),
                at(Expiry, Issues, all_wait(Told::Set(2))),
            ],
        ),
        scenario(
            "later than the window",
            lasting(minutes(60)).aging_after(minutes(59)),
            [at(Expiry - minutes(15), Issues, one_asks(Told::Set(2), Told::Set(1)))],
        ),
        scenario(
            "instead of the policy's, for a set without expiry",
            unending().aging_after(minutes(30)),
            [
                at(Issue + (minutes(27) - TICK), Issues, at_once(Told::Set(1))),
                at(Issue + minutes(30), Issues, one_asks(Told::Set(2), Told::Set(1))),
            ],
        ),
    ])
    .await;
}
