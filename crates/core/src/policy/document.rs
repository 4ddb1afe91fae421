//! The document around the statements: parsing, checking and writing.

use serde::Serialize;
use serde_json::{Map, Value};

use super::statement::Statement;
use super::{MAX_POLICY_CHARS, json};
use crate::{Error, ErrorKind, Result};

const POLICY_VERSION: &str = "2012-10-17";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument<'a> {
    version: &'static str,
    statement: &'a [Statement],
}

/// Returns the statements of a policy, each in its shortest form.
///
/// # Errors
/// `Invalid` for malformed JSON, another version, an unknown key, a malformed statement, a policy that allows nothing,
/// and one that is too long.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>> {
    let Value::Object(mut fields) = json::parse(text)? else {
        return Err(Error::invalid("policy", "must be a JSON object"));
    };
    if fields.remove("Version").is_none_or(|version| version != POLICY_VERSION) {
        return Err(Error::invalid("Version", "must be `2012-10-17`"));
    }
    fields.remove("Id");
    let statements = parse_statements(&mut fields)?;
    if !fields.is_empty() {
        return Err(Error::invalid("policy", "may hold `Version`, `Id` and `Statement` and nothing else"));
    }
    // Check the length first: comparing the patterns of an overlong policy would take too long.
    serialize(&statements)?;
    Ok(statements.into_iter().map(Statement::minimized).collect())
}

fn parse_statements(fields: &mut Map<String, Value>) -> Result<Vec<Statement>> {
    let statements = match fields.remove("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => return Err(Error::invalid("Statement", "must be a statement or a list of statements")),
    };
    statements
        .into_iter()
        .enumerate()
        .map(|(n, one)| Statement::parse(&format!("Statement[{n}]"), one))
        .collect()
}

/// Returns the policy as it is sent to AWS.
///
/// # Errors
/// `Invalid` for a policy that allows nothing, holds a character that STS does not accept (`AssumeRole`, `Policy`), or
/// is too long.
pub(super) fn serialize(statements: &[Statement]) -> Result<String> {
    if !statements.iter().any(Statement::is_allow) {
        return Err(Error::invalid("policy", "must allow something").with_next_step(
            "add a statement that allows what the session may do: all else is refused anyway",
        ));
    }
    let text = serde_json::to_string(&PolicyDocument { version: POLICY_VERSION, statement: statements })
        .map_err(|_| Error::new(ErrorKind::Internal, "a policy could not be written"))?;
    if !text.chars().all(|c| ('\u{20}'..='\u{ff}').contains(&c)) {
        return Err(Error::invalid("policy", "must hold only characters up to U+00FF"));
    }
    if text.chars().count() > MAX_POLICY_CHARS {
        return Err(too_long_error());
    }
    Ok(text)
}

pub(super) fn too_long_error() -> Error {
    Error::invalid("policy", "must be at most 2,048 characters without white space")
        .with_next_step("allow fewer or broader things, or narrow in several steps")
}
