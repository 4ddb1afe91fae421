//! `Tally`: what a soak has found.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Counts of all workers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: [AtomicU64; Count::ALL.len()],
    /// Descriptions of the first violations.
    violations: Mutex<Vec<String>>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Calls,
    /// Calls that failed since a gateway or the store was lost.
    Outages,
    Changes,
    Closed,
    Faults,
    /// A session was served with credentials of another one.
    WrongAccount,
    /// An open session was refused as one that does not exist, or has lost a confirmed change.
    Lost,
    /// A closed session was served.
    Resurrected,
    /// A result that no state of the fleet explains.
    Unexpected,
}

impl Count {
    const ALL: [(Self, &str); 9] = [
        (Self::Calls, "calls"),
        (Self::Outages, "calls that failed since a gateway or the store was lost"),
        (Self::Changes, "confirmed changes of credentials"),
        (Self::Closed, "closed sessions"),
        (Self::Faults, "faults"),
        (Self::WrongAccount, "wrong-account responses"),
        (Self::Lost, "lost sessions"),
        (Self::Resurrected, "resurrected sessions"),
        (Self::Unexpected, "unexpected results"),
    ];
}

/// Violations that are described.
const MAX_DESCRIBED: usize = 20;

impl Tally {
    pub(super) fn add(&self, count: Count) {
        self.counts[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_violation(&self, count: Count, description: String) {
        self.add(count);
        let mut violations = self.violations.lock();
        if violations.len() < MAX_DESCRIBED {
            violations.push(description);
        }
    }

    fn get(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    pub(super) fn is_clean(&self) -> bool {
        let violations = [Count::WrongAccount, Count::Lost, Count::Resurrected, Count::Unexpected];
        violations.iter().all(|count| self.get(*count) == 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, name) in Count::ALL {
            writeln!(f, "{name}: {}", self.get(count))?;
        }
        let violations = self.violations.lock();
        violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}
