//! A provider of an account's fields, with everything that is wrong with them. A builder tells its first fault, so after
//! one each field is tried by itself.

use std::collections::BTreeSet;

use valetkey::{Attribution, Error, NameTemplate, Result};

/// What one field does to a builder.
pub(super) type Edit<'a, B> = Box<dyn Fn(B) -> B + 'a>;

/// What `build` makes of `plain` after all `edits`; else `faults`, which are known already, and every other.
pub(super) fn build<B, P>(
    plain: impl Fn() -> B,
    edits: &[Edit<'_, B>],
    build: impl Fn(B) -> Result<P>,
    mut faults: Vec<Error>,
) -> Result<P, Vec<Error>> {
    match build(edits.iter().fold(plain(), |builder, edit| edit(builder))) {
        Ok(provider) if faults.is_empty() => return Ok(provider),
        Ok(_) => {}
        Err(first) => {
            let alone = edits.iter().filter_map(|edit| build(edit(plain())).err());
            faults.extend(alone.chain([first]));
        }
    }
    let mut told = BTreeSet::new();
    faults.retain(|error| told.insert(error.to_string()));
    Err(faults)
}

/// Fills in the places of a session name. A name without places is the builder's to check.
pub(super) fn session_name(text: Option<&str>, who: &Attribution, faults: &mut Vec<Error>) -> Option<String> {
    let filled = filled(text?, |template| template.fill(who));
    filled.map_err(|error| faults.push(error.with_field("session_name"))).ok()
}

/// Fills in the places of a source identity, as [`session_name`] does.
pub(super) fn source_identity(
    text: Option<&str>,
    who: &Attribution,
    faults: &mut Vec<Error>,
) -> Option<String> {
    let filled = filled(text?, |template| template.fill_source_identity(who));
    filled.map_err(|error| faults.push(error.with_field("source_identity"))).ok()
}

fn filled(text: &str, fill: impl Fn(&NameTemplate) -> Result<String>) -> Result<String> {
    match text.contains(['{', '}']) {
        true => text.parse::<NameTemplate>().and_then(|template| fill(&template)),
        false => Ok(text.to_owned()),
    }
}
