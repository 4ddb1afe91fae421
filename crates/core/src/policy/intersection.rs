//! Computes what two policies both allow.

use super::document::too_long;
use super::glob::Globs;
use super::statement::{Effect, Statement, Subject};
use crate::{Error, Result};

/// More statements than fit into a policy. Beyond this number, comparing them pairwise would take too long.
const MOST_STATEMENTS: usize = 64;

/// Returns statements for what both policies allow and neither denies. Denying statements come last.
pub(super) fn of(one: &[Statement], other: &[Statement]) -> Result<Vec<Statement>> {
    let mut kept = Vec::new();
    for mine in one.iter().filter(|statement| statement.allows()) {
        for theirs in other.iter().filter(|statement| statement.allows()) {
            if let Some(common) = in_common(mine, theirs)? {
                add(&mut kept, common)?;
            }
        }
    }
    if kept.is_empty() {
        return Err(nothing_in_common());
    }
    let denied = one.iter().chain(other).filter(|statement| !statement.allows());
    denied.cloned().try_for_each(|denied| add(&mut kept, denied))?;
    Ok(kept)
}

/// Returns what two statements both allow, or `None` if there is no overlap.
fn in_common(mine: &Statement, theirs: &Statement) -> Result<Option<Statement>> {
    let actions = named(&mine.actions)?.in_common(named(&theirs.actions)?);
    let resources = named(&mine.resources)?.in_common(named(&theirs.resources)?);
    if actions.is_empty() || resources.is_empty() {
        return Ok(None);
    }
    let conditions = mine.conditions.and(&theirs.conditions)?;
    Ok(Some(Statement { conditions, ..Statement::plain(Effect::Allow, actions, resources) }))
}

fn named(subject: &Subject) -> Result<&Globs> {
    match subject {
        Subject::These(globs) => Ok(globs),
        Subject::AllBut(_) => Err(not_named()),
    }
}

/// Adds a statement unless another one covers it, and removes those that it covers.
fn add(kept: &mut Vec<Statement>, statement: Statement) -> Result<()> {
    if kept.iter().any(|other| other.covers(&statement)) {
        return Ok(());
    }
    kept.retain(|other| !statement.covers(other));
    kept.push(statement);
    if kept.len() > MOST_STATEMENTS { Err(too_long()) } else { Ok(()) }
}

fn not_named() -> Error {
    Error::invalid(
        "policy",
        "allows by `NotAction` or `NotResource`, which cannot be compared with another policy",
    )
    .with_next_step("name what it allows, and deny the exceptions")
}

fn nothing_in_common() -> Error {
    Error::invalid("policy", "allows nothing that the policy it is to be narrowed by allows as well")
        .with_next_step(
            "ask for something that both allow; of patterns that overlap one must cover the other",
        )
}
