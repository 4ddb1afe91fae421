//! `Section` and `Figure`: results. A figure has a value, a spread, a reference and a goal.

use serde::Serialize;

use crate::goal::Goal;
use crate::rounds::{Rounds, Spread};

/// One figure, as printed and as in the JSON.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// The measure, with its quantity after a colon.
    pub(crate) name: String,
    /// The measured subject.
    pub(crate) subject: String,
    pub(crate) unit: &'static str,
    /// The median of all rounds.
    pub(crate) value: f64,
    pub(crate) spread: Spread,
    pub(crate) rounds: usize,
    /// The reference of the ratio.
    pub(crate) peer: Option<String>,
    /// The median of the ratios of all rounds.
    pub(crate) ratio: Option<f64>,
    pub(crate) ratio_spread: Option<Spread>,
    /// A bound for the ratio, or for the value without a reference.
    pub(crate) goal: Option<String>,
    pub(crate) met: Option<bool>,
}

impl Figure {
    pub(crate) fn new(
        name: impl Into<String>,
        subject: impl Into<String>,
        unit: &'static str,
        rounds: &Rounds,
    ) -> Self {
        Self {
            name: name.into(),
            subject: subject.into(),
            unit,
            value: rounds.median(),
            spread: rounds.spread(),
            rounds: rounds.count(),
            peer: None,
            ratio: None,
            ratio_spread: None,
            goal: None,
            met: None,
        }
    }

    /// Adds the ratio to a reference.
    pub(crate) fn with_reference(mut self, peer: impl Into<String>, ratio: &Rounds) -> Self {
        self.peer = Some(peer.into());
        self.ratio = Some(ratio.median());
        self.ratio_spread = Some(ratio.spread());
        self
    }

    pub(crate) fn with_goal(mut self, goal: Goal) -> Self {
        self.met = Some(goal.is_met_by(self.ratio.unwrap_or(self.value)));
        self.goal = Some(goal.to_string());
        self
    }
}

/// One measure and its figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// The method, in a few sentences.
    pub(crate) method: String,
    /// Whether it is printed with a row for each subject and a column for each measure.
    #[serde(skip)]
    pub(crate) is_matrix: bool,
    pub(crate) figures: Vec<Figure>,
    /// The measures that did not run, and the reasons.
    pub(crate) not_run: Vec<String>,
}

impl Section {
    pub(crate) fn new(title: impl Into<String>, method: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            method: method.into(),
            is_matrix: false,
            figures: Vec::new(),
            not_run: Vec::new(),
        }
    }

    pub(crate) fn into_matrix(mut self) -> Self {
        self.is_matrix = true;
        self
    }

    pub(crate) fn push(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(crate) fn add_not_run(&mut self, what: impl Into<String>) {
        self.not_run.push(what.into());
    }

    /// Returns the figures of one measure, in order.
    pub(crate) fn figures_named(&self, name: &str) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(move |figure| figure.name == name)
    }
}
