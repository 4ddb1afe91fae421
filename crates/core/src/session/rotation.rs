//! `Rotations`: a watch of generation numbers, never of secrets.

use std::fmt;

use serde::Serialize;
use tokio::sync::watch;

/// The number of a set within its account. It grows with each set that is issued or set, and with each clearing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Follows one account's generations; made by [`SessionContext::rotations`](super::SessionContext::rotations).
#[derive(Debug, Clone)]
pub struct Rotations(watch::Receiver<Announced>);

/// What is announced: the generation now, and whether it is the last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Announced {
    pub(super) generation: Generation,
    pub(super) last: bool,
}

impl Rotations {
    pub(super) fn new(receiver: watch::Receiver<Announced>) -> Self {
        Self(receiver)
    }

    /// The generation now.
    #[must_use]
    pub fn current(&self) -> Generation {
        self.0.borrow().generation
    }

    /// Waits for a generation not seen before; `None` once the session is closed. Cancel safe.
    pub async fn changed(&mut self) -> Option<Generation> {
        if self.0.borrow().last {
            return None;
        }
        self.0.changed().await.ok()?;
        let announced = *self.0.borrow_and_update();
        (!announced.last).then_some(announced.generation)
    }
}
