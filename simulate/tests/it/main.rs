//! Compares the simulation with the sessions of `valetkey-core`, in virtual time.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

mod product;

use valetkey_simulate::fleet::simulate;
use valetkey_simulate::scenario::{Outage, Scenario};
use valetkey_simulate::{HOUR, MINUTE};

const SESSIONS: u32 = 60;

fn calm() -> Scenario {
    Scenario { nodes: 1, opened_within: 10 * MINUTE, until: 10 * HOUR, ..Scenario::calm(SESSIONS) }
}

/// The share by which two counts differ.
fn difference(a: u64, b: u64) -> f64 {
    let [a, b] = [a, b].map(|count| f64::from(u32::try_from(count).unwrap()));
    (a - b).abs() / a.max(b)
}

/// Compares the calls of a day without incidents, and the minutes of the first refreshes. Returns the simulated calls.
async fn compare_calls(scenario: &Scenario, tolerated_minutes: usize) -> u64 {
    let simulated = simulate(scenario);
    let product = product::run(scenario).await;
    let (simulated, product) = (simulated.issued, product.issued);
    let [calls, b] = [&simulated, &product].map(|minutes| minutes.iter().sum::<u64>());
    assert!(difference(calls, b) < 0.01, "{calls} and {b}");
    // The first refreshes: no earlier and no later.
    let first_refresh = |minutes: &[u64]| (20..minutes.len()).find(|minute| minutes[*minute] > 0);
    let [a, b] = [&simulated, &product].map(|minutes| first_refresh(minutes).unwrap());
    assert!(a.abs_diff(b) <= tolerated_minutes, "minute {a} and minute {b}");
    calls
}

#[tokio::test(start_paused = true)]
async fn simulated_calls_of_a_calm_day_equal_the_product() {
    let calls = compare_calls(&calm(), 1).await;
    assert!(calls > 12 * u64::from(SESSIONS), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn simulated_calls_of_long_credentials_equal_the_product() {
    // The refresh window is another one. Its jitter spreads the first refreshes over six minutes.
    let calls = compare_calls(&Scenario { lifetime: 12 * HOUR, until: 13 * HOUR, ..calm() }, 4).await;
    assert_eq!(calls, 2 * u64::from(SESSIONS));
}

#[tokio::test(start_paused = true)]
async fn simulated_outage_equals_the_product() {
    let outage = Outage { from: 5 * HOUR, until: 5 * HOUR + 40 * MINUTE };
    let scenario = Scenario { sts_outages: vec![outage], until: 7 * HOUR, ..calm() };
    let simulated = simulate(&scenario);
    let product = product::run(&scenario).await;
    let [a, b] = [&simulated, &product].map(|series| series.issued.iter().sum::<u64>());
    assert!(difference(a, b) < 0.03, "issued: {a} and {b}");
    let [a, b] = [&simulated, &product].map(|series| series.without_credentials.iter().sum::<u64>());
    assert!(b > 0, "some sessions ran out");
    assert!(difference(a, b) < 0.15, "milliseconds without credentials: {a} and {b}");
}
