//! The results of all days: a table in Markdown, and plots in SVG.

mod plot;

use std::fmt::Write;

use crate::scenario::Scenario;
use crate::series::Series;
use crate::{HOUR, MINUTE};

pub use plot::{Line, line_plot};

const SECONDS_PER_MINUTE: f64 = 60.0;
/// The minutes in which sessions are opened, which are no steady state.
const OPENING_MINUTES: usize = (HOUR / MINUTE) as usize;

/// A simulated day.
#[derive(Debug)]
pub struct Day {
    /// What was simulated.
    pub scenario: Scenario,
    /// What happened.
    pub series: Series,
}

/// Returns one row for each day.
#[must_use]
pub fn table(days: &[Day]) -> String {
    let mut table = String::from(
        "| day | STS calls a second: mean | highest minute after the first hour | throttled | store operations a second: mean | longest with > 1 % without credentials | session time without credentials |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for day in days {
        let row = Row::new(day);
        let _infallible = writeln!(
            table,
            "| {} | {:.0} | {:.0} | {:.2} % | {:.0} | {} min | {:.4} % |",
            day.scenario.name,
            row.mean_calls,
            row.highest_calls,
            row.throttled_percent,
            row.mean_store,
            row.longest_gap,
            row.without_percent
        );
    }
    table
}

/// The figures of one day.
#[derive(Debug)]
pub struct Row {
    /// Credentials issued in a second, after the first hour.
    pub mean_calls: f64,
    /// The same in the highest minute.
    pub highest_calls: f64,
    /// The share of requests that STS throttled, after the first hour.
    pub throttled_percent: f64,
    /// Operations of the store in a second, after the first hour.
    pub mean_store: f64,
    /// The most consecutive minutes in which more than one percent of the sessions had no valid credentials, after the first
    /// hour.
    pub longest_gap: usize,
    /// The share of the time of all sessions without valid credentials, after the first hour.
    pub without_percent: f64,
}

impl Row {
    /// Computes the figures of a day.
    #[must_use]
    pub fn new(day: &Day) -> Self {
        let series = &day.series;
        let issued = steady(&series.issued);
        let throttled = total(steady(&series.throttled));
        let without = without_percent(day);
        Self {
            mean_calls: per_second(issued),
            highest_calls: issued.iter().max().map_or(0.0, |most| number(*most) / SECONDS_PER_MINUTE),
            throttled_percent: 100.0 * throttled / (throttled + total(issued)).max(1.0),
            mean_store: per_second(steady(&series.store)),
            longest_gap: longest_run(steady(&without), |percent| percent > 1.0),
            without_percent: mean(steady(&without)),
        }
    }
}

/// Returns the percentage of sessions without valid credentials, minute by minute.
#[must_use]
pub fn without_percent(day: &Day) -> Vec<f64> {
    let whole = f64::from(day.scenario.sessions) * f64::from(MINUTE);
    day.series.without_credentials.iter().map(|millis| 100.0 * number(*millis) / whole).collect()
}

/// Returns the credentials issued in a second, minute by minute.
#[must_use]
pub fn calls_per_second(day: &Day) -> Vec<f64> {
    day.series.issued.iter().map(|calls| number(*calls) / SECONDS_PER_MINUTE).collect()
}

fn steady<T>(minutes: &[T]) -> &[T] {
    minutes.get(OPENING_MINUTES..).unwrap_or_default()
}

fn total(counts: &[u64]) -> f64 {
    number(counts.iter().sum())
}

fn per_second(counts: &[u64]) -> f64 {
    total(counts) / (number(counts.len() as u64) * SECONDS_PER_MINUTE).max(1.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / number(values.len() as u64).max(1.0)
}

fn longest_run(values: &[f64], is_counted: impl Fn(f64) -> bool) -> usize {
    values.split(|value| !is_counted(*value)).map(<[f64]>::len).max().unwrap_or_default()
}

#[allow(clippy::cast_precision_loss)] // counts far below 2^52
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_counts_only_after_the_first_hour() {
        let scenario = Scenario { until: 62 * MINUTE, ..Scenario::calm(10) };
        let mut series = Series::new(scenario.until);
        series.issued[3] = 60_000;
        series.issued[60] = 60;
        series.issued[61] = 120;
        series.throttled[61] = 60;
        series.add_time_without(61 * MINUTE, 61 * MINUTE + 30_000);
        let row = Row::new(&Day { scenario, series });
        assert!((row.highest_calls - 2.0).abs() < 1e-9, "{row:?}");
        assert!((row.mean_calls - 1.0).abs() < 1e-9, "{row:?}");
        assert!((row.throttled_percent - 25.0).abs() < 1e-9, "{row:?}");
        assert_eq!(row.longest_gap, 1);
    }
}
