//! Row: a permanent failure, in each window. It unpublishes the current credentials, and is remembered for
//! 1 to 5 seconds.

use super::*;

fn one_hour() -> InitialState {
    expiring_after(minutes(60))
}

/// The callers that waited get the failure, and so do all later callers until it is forgotten. Then upstream is called,
/// without credentials to fall back on.
fn permanent_failure(
    name: impl Into<String>,
    given: InitialState,
    when: impl Into<EdgeOffset>,
    first: Observation,
) -> Scenario {
    scenario(
        name,
        given,
        [
            at(when, DENIES, first),
            at(Now, Issues, all_immediate(DENIED)),
            at(LastFetch + (seconds(1) - TICK), Issues, all_immediate(DENIED)),
            at(LastFetch + seconds(5), DENIES, all_wait(DENIED)),
            at(LastFetch + seconds(5), DOWN, all_wait(UNAVAILABLE)),
            at(Now, Issues, all_wait(CallResult::Credentials(2))),
        ],
    )
}

#[tokio::test]
async fn permanent_failure_in_every_window_unpublishes() {
    let one_denied = || one_fetches(DENIED, CallResult::Credentials(1));
    run_scenarios([
        permanent_failure("as the advisory window opens", one_hour(), Advisory, one_denied()),
        permanent_failure("as it ends", one_hour(), Mandatory - TICK, one_denied()),
        permanent_failure("as the mandatory window opens", one_hour(), Mandatory, all_wait(DENIED)),
        permanent_failure("as it ends", one_hour(), Expiry - TICK, all_wait(DENIED)),
        permanent_failure("at expiry", one_hour(), Expiry, all_wait(DENIED)),
        permanent_failure(
            "with expired credentials served",
            one_hour().serving_expired(),
            Expiry + minutes(1),
            all_wait(DENIED),
        ),
        permanent_failure(
            "with credentials that never expire",
            unexpiring(),
            Issued + minutes(15),
            one_denied(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn permanent_failure_includes_every_lasting_kind() {
    for kind in [ErrorKind::Denied, ErrorKind::Invalid, ErrorKind::NotConfigured, ErrorKind::Closed] {
        run_scenarios([scenario(
            kind.code(),
            one_hour(),
            [
                at(Advisory, Fails(kind), one_fetches(CallResult::Error(kind), CallResult::Credentials(1))),
                at(Now, Issues, all_immediate(CallResult::Error(kind))),
            ],
        )])
        .await;
    }
}

#[tokio::test]
async fn permanent_failure_uncached_backs_off() {
    run_scenarios([scenario(
        "cold",
        uncached(),
        [
            at(Issued, DENIES, all_wait(DENIED)),
            at(LastFetch + (seconds(1) - TICK), Issues, all_immediate(DENIED)),
            at(LastFetch + seconds(5), Issues, all_wait(CallResult::Credentials(1))),
        ],
    )])
    .await;
}

#[tokio::test]
async fn permanent_failure_follows_transient_backoff() {
    run_scenarios([scenario(
        "down, then refused",
        expiring_after(minutes(12 * 60)),
        [
            at(Advisory, DOWN, one_fetches(CallResult::Credentials(1), CallResult::Credentials(1))),
            at(LastFetch + (seconds(300) - TICK), DENIES, all_immediate(CallResult::Credentials(1))),
            at(LastFetch + seconds(600), DENIES, one_fetches(DENIED, CallResult::Credentials(1))),
            at(Now, Issues, all_immediate(DENIED)),
        ],
    )])
    .await;
}
