//! Builds a provider from an account's fields and reports every error in them. A builder reports only its first error,
//! so after an error each field is tried separately.

use std::collections::BTreeSet;

use valetkey::{Attribution, Error, NameTemplate, Result};

/// The builder call for one field.
pub(super) type BuilderStep<'a, B> = Box<dyn Fn(B) -> B + 'a>;

/// Returns the result of `build` after all `steps` of `new_builder`, or else `errors` and every further error.
pub(super) fn build_or_report<B, P>(
    new_builder: impl Fn() -> B,
    steps: &[BuilderStep<'_, B>],
    build: impl Fn(B) -> Result<P>,
    mut errors: Vec<Error>,
) -> Result<P, Vec<Error>> {
    match build(steps.iter().fold(new_builder(), |builder, step| step(builder))) {
        Ok(provider) if errors.is_empty() => return Ok(provider),
        Ok(_) => {}
        Err(first) => {
            let each = steps.iter().filter_map(|step| build(step(new_builder())).err());
            errors.extend(each.chain([first]));
        }
    }
    let mut seen = BTreeSet::new();
    errors.retain(|error| seen.insert(error.to_string()));
    Err(errors)
}

/// Renders a session name. The builder checks a name without placeholders.
pub(super) fn render_session_name(
    text: Option<&str>,
    attribution: &Attribution,
    errors: &mut Vec<Error>,
) -> Option<String> {
    render("session_name", text?, errors, |template| template.render(attribution))
}

/// Renders a source identity, as [`render_session_name`] does.
pub(super) fn render_source_identity(
    text: Option<&str>,
    attribution: &Attribution,
    errors: &mut Vec<Error>,
) -> Option<String> {
    render("source_identity", text?, errors, |template| template.render_source_identity(attribution))
}

fn render(
    field: &'static str,
    text: &str,
    errors: &mut Vec<Error>,
    render: impl FnOnce(&NameTemplate) -> Result<String>,
) -> Option<String> {
    if !text.contains(['{', '}']) {
        return Some(text.to_owned());
    }
    let rendered = text.parse::<NameTemplate>().and_then(|template| render(&template));
    rendered.map_err(|error| errors.push(error.with_field(field))).ok()
}
