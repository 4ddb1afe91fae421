//! `Rounds`: the values of one measure, reported as median and extremes.

use serde::Serialize;

/// The values of all rounds, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

/// The lowest and the highest value of all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Rounds {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        }
    }

    pub(crate) fn spread(&self) -> Spread {
        let low = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Spread { low, high }
    }

    /// Returns the difference of each round.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(value, other)| value - other).collect())
    }

    /// Returns the ratio of each round. A disturbance of a round affects both values.
    pub(crate) fn ratio_to(&self, reference: &Self) -> Self {
        Self(self.0.iter().zip(&reference.0).map(|(value, reference)| value / reference).collect())
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl From<f64> for Rounds {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_median_spread_and_ratio_are_correct() {
        let slow: Rounds = [4.0, 20.0, 6.0].into_iter().collect();
        let fast: Rounds = [2.0, 10.0, 1.0].into_iter().collect();
        assert_eq!(slow.median(), 6.0);
        assert_eq!(slow.spread(), Spread { low: 4.0, high: 20.0 });
        assert_eq!(slow.ratio_to(&fast).median(), 2.0);
        let even: Rounds = [1.0, 3.0].into_iter().collect();
        assert_eq!(even.median(), 2.0);
    }
}
