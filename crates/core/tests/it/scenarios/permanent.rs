//! Row: a permanent failure, in each window. It withdraws the set in hand, and is remembered for 1 to 5 seconds.

use super::*;

fn hour() -> Given {
    lasting(minutes(60))
}

/// Whoever waited is told; so is everybody after, until it is forgotten; then upstream is asked with nothing in hand.
fn refused(name: impl Into<String>, given: Given, when: impl Into<When>, first: Seen) -> Scenario {
    scenario(
        name,
        given,
        [
            at(when, REFUSES, first),
            at(Now, Issues, at_once(DENIED)),
            at(Attempt + (seconds(1) - TICK), Issues, at_once(DENIED)),
            at(Attempt + seconds(5), REFUSES, all_wait(DENIED)),
            at(Attempt + seconds(5), DOWN, all_wait(UNAVAILABLE)),
            at(Now, Issues, all_wait(Told::Set(2))),
        ],
    )
}

#[tokio::test]
async fn a_permanent_failure_stops_the_session_in_every_window() {
    let one_asked = || one_asks(DENIED, Told::Set(1));
    play([
        refused("as the advisory window opens", hour(), Advisory, one_asked()),
        refused("as it ends", hour(), Mandatory - TICK, one_asked()),
        refused("as the mandatory window opens", hour(), Mandatory, all_wait(DENIED)),
        refused("as it ends", hour(), Expiry - TICK, all_wait(DENIED)),
        refused("at expiry", hour(), Expiry, all_wait(DENIED)),
        refused("with expired sets served", hour().serving_expired(), Expiry + minutes(1), all_wait(DENIED)),
        refused("with a set that never expires", unending(), Issue + minutes(15), one_asked()),
    ])
    .await;
}

#[tokio::test]
async fn every_kind_that_does_not_pass_is_permanent() {
    for kind in [ErrorKind::Denied, ErrorKind::Invalid, ErrorKind::NotConfigured, ErrorKind::Closed] {
        play([scenario(
            kind.code(),
            hour(),
            [
                at(Advisory, Fails(kind), one_asks(Told::Error(kind), Told::Set(1))),
                at(Now, Issues, at_once(Told::Error(kind))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn with_nothing_ever_cached_it_is_remembered_too() {
    play([scenario(
        "cold",
        nothing(),
        [
            at(Issue, REFUSES, all_wait(DENIED)),
            at(Attempt + (seconds(1) - TICK), Issues, at_once(DENIED)),
            at(Attempt + seconds(5), Issues, all_wait(Told::Set(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn a_hold_after_a_transient_failure_puts_it_off_and_no_more() {
    play([scenario(
        "down, then refused",
        lasting(minutes(12 * 60)),
        [
            at(Advisory, DOWN, one_asks(Told::Set(1), Told::Set(1))),
            at(Attempt + (seconds(300) - TICK), REFUSES, at_once(Told::Set(1))),
            at(Attempt + seconds(600), REFUSES, one_asks(DENIED, Told::Set(1))),
            at(Now, Issues, at_once(DENIED)),
        ],
    )])
    .await;
}
