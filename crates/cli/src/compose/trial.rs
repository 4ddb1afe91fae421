//! A provider of an account's fields, with everything that is wrong with them. A builder tells its first fault, so after
//! one each field is tried by itself.

use std::collections::BTreeSet;

use valetkey::{Attribution, Error, NameTemplate, Result};

/// What one field does to a builder.
pub(super) type BuilderStep<'a, B> = Box<dyn Fn(B) -> B + 'a>;

/// What `build` makes of `plain` after all `edits`; else `faults`, which are known already, and every other.
pub(super) fn build_or_report<B, P>(
    plain: impl Fn() -> B,
    edits: &[BuilderStep<'_, B>],
    build: impl Fn(B) -> Result<P>,
    mut faults: Vec<Error>,
) -> Result<P, Vec<Error>> {
    match build(edits.iter().fold(plain(), |builder, edit| edit(builder))) {
        Ok(provider) if faults.is_empty() => return Ok(provider),
        Ok(_) => {}
        Err(first) => {
            let errors = edits.iter().filter_map(|edit| build(edit(plain())).err());
            faults.extend(errors.chain([first]));
        }
    }
    let mut seen = BTreeSet::new();
    faults.retain(|error| seen.insert(error.to_string()));
    Err(faults)
}

/// A name with places in it is filled in; any other is the builder's to check.
pub(super) fn render_name(
    field: &'static str,
    text: Option<&str>,
    who: &Attribution,
    faults: &mut Vec<Error>,
) -> Option<String> {
    let text = text?;
    let filled = match text.contains(['{', '}']) {
        true => text.parse::<NameTemplate>().and_then(|template| template.render(who)),
        false => Ok(text.to_owned()),
    };
    filled.map_err(|error| faults.push(error.with_field(field))).ok()
}
