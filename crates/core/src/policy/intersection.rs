//! Computes what two policies both allow.
//!
//! Each statement that allows in one policy is paired with each that allows in the other; what both of a pair allow is
//! kept. What either policy denies stays denied. Whatever cannot be compared is left out or refused, so that the result
//! is never wider than either policy.

use super::document::too_long_error;
use super::glob::Globs;
use super::statement::{Effect, PatternSet, Statement};
use crate::{Error, Result};

/// More statements than fit into a policy. Beyond this number, comparing them pairwise would take too long.
const MAX_STATEMENTS: usize = 64;

/// Returns statements for what both policies allow and neither denies. Denying statements come last.
pub(super) fn intersect(left: &[Statement], right: &[Statement]) -> Result<Vec<Statement>> {
    let mut kept = Vec::new();
    for mine in left.iter().filter(|statement| statement.is_allow()) {
        for theirs in right.iter().filter(|statement| statement.is_allow()) {
            if let Some(common) = intersect_statements(mine, theirs)? {
                push_unless_covered(&mut kept, common)?;
            }
        }
    }
    if kept.is_empty() {
        return Err(empty_intersection_error());
    }
    let denied = left.iter().chain(right).filter(|statement| !statement.is_allow());
    denied.cloned().try_for_each(|denied| push_unless_covered(&mut kept, denied))?;
    Ok(kept)
}

/// Returns what two statements both allow, or `None` if there is no overlap.
fn intersect_statements(mine: &Statement, theirs: &Statement) -> Result<Option<Statement>> {
    let actions = listed_patterns(&mine.actions)?.intersect(listed_patterns(&theirs.actions)?);
    let resources = listed_patterns(&mine.resources)?.intersect(listed_patterns(&theirs.resources)?);
    if actions.is_empty() || resources.is_empty() {
        return Ok(None);
    }
    let conditions = mine.conditions.merge(&theirs.conditions)?;
    Ok(Some(Statement { conditions, ..Statement::without_conditions(Effect::Allow, actions, resources) }))
}

/// Returns the patterns of an element that lists what it matches. `NotAction` and `NotResource` match all but their
/// patterns, which cannot be compared with a list.
fn listed_patterns(subject: &PatternSet) -> Result<&Globs> {
    match subject {
        PatternSet::Only(globs) => Ok(globs),
        PatternSet::Except(_) => Err(not_comparable_error()),
    }
}

/// Adds a statement unless another one covers it, and removes those that it covers.
fn push_unless_covered(kept: &mut Vec<Statement>, statement: Statement) -> Result<()> {
    if kept.iter().any(|other| other.covers(&statement)) {
        return Ok(());
    }
    kept.retain(|other| !statement.covers(other));
    kept.push(statement);
    if kept.len() > MAX_STATEMENTS { Err(too_long_error()) } else { Ok(()) }
}

fn not_comparable_error() -> Error {
    Error::invalid(
        "policy",
        "allows by `NotAction` or `NotResource`, which cannot be compared with another policy",
    )
    .with_next_step("name what it allows, and deny the exceptions")
}

fn empty_intersection_error() -> Error {
    Error::invalid("policy", "allows nothing that the policy it is to be narrowed by allows as well")
        .with_next_step(
            "ask for something that both allow; of patterns that overlap one must cover the other",
        )
}
