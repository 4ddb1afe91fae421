//! The roles of the settings, assumed with credentials or with an identity token.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{AssumeRoleBuilder, AssumeRoleProvider, WebIdentityBuilder, WebIdentityProvider};
use valetkey::mcp::http::CallerToken;
use valetkey::{Error, Region, Result, RoleArn};

use super::accounts::region_or_default;
use super::claims::{ClaimPlace, ClaimSource};
use super::hints;
use super::provider::ProviderContext;
use super::validate::{self, BuilderStep};
use crate::settings::{RoleSettings, TokenSettings, WebIdentitySettings};

/// Replaces an invalid role, so that the other fields are checked as well.
const PLACEHOLDER_ROLE: &str = "arn:aws:iam::000000000000:role/none";

/// Builds the provider of a role that is assumed with the credentials of the source.
pub(super) fn build_assume_role(
    role: &RoleSettings,
    context: &ProviderContext<'_>,
) -> Result<AssumeRoleProvider, Vec<Error>> {
    let ProviderContext { source, base, attribution, terminal, .. } = context;
    let mut errors = Vec::new();
    let mut fill = |field, text: &str, place| fill_claims(context, field, text, place, &mut errors);
    let role_arn = fill("role_arn", &role.role_arn, ClaimPlace::Name);
    let session = role.session_name.as_deref().map(|name| fill("session_name", name, ClaimPlace::Name));
    let identity =
        role.source_identity.as_deref().map(|name| fill("source_identity", name, ClaimPlace::Name));
    let tags: Vec<_> =
        role.tags.iter().map(|(key, value)| (key, fill("tags", value, ClaimPlace::Tag))).collect();
    let session = validate::render_session_name(session.as_deref(), attribution, &mut errors);
    let identity = validate::render_source_identity(identity.as_deref(), attribution, &mut errors);
    let Some(target) = parse_role_target(&role_arn, role.region.as_deref(), &mut errors) else {
        return Err(errors);
    };
    let mut steps: Vec<BuilderStep<'_, AssumeRoleBuilder>> = Vec::new();
    if let Some(name) = &session {
        steps.push(Box::new(move |builder| builder.session_name(name)));
    }
    if let Some(identity) = &identity {
        steps.push(Box::new(move |builder| builder.source_identity(identity)));
    }
    if let Some(id) = &role.external_id {
        steps.push(Box::new(move |builder| builder.external_id(id)));
    }
    if let Some(seconds) = role.duration_seconds {
        steps.push(Box::new(move |builder| builder.session_duration(Duration::from_secs(seconds))));
    }
    if let Some(serial) = &role.mfa_serial {
        steps.push(Box::new(move |builder| builder.mfa(serial, terminal.code(context.name, serial))));
    }
    if let Some(policy) = &role.policy {
        steps.push(Box::new(move |builder| builder.policy(policy)));
    }
    if let Some(has_tags) = role.attribution.unwrap_or(context.attribution_mode).tag_sessions() {
        steps.push(Box::new(move |builder| {
            let builder = builder.attribution(attribution);
            if has_tags { builder } else { builder.without_attribution_tags() }
        }));
    }
    steps.push(Box::new(|builder| role.policy_arns.iter().fold(builder, AssumeRoleBuilder::policy_arn)));
    steps.push(Box::new(|builder| {
        let builder = tags.iter().fold(builder, |builder, (key, value)| builder.tag(*key, value));
        role.transitive_tags.iter().fold(builder, AssumeRoleBuilder::transitive_tag)
    }));
    let new_builder = || {
        let builder = AssumeRoleProvider::builder(target.role.clone(), Arc::clone(source));
        let builder = builder.client_config(base);
        let builder = if context.is_chained { builder.role_chaining() } else { builder };
        target.region.clone().into_iter().fold(builder, AssumeRoleBuilder::region)
    };
    validate::build_or_report(new_builder, &steps, AssumeRoleBuilder::build, errors)
}

/// Builds the provider of a role that is assumed with the token in a file.
pub(super) fn build_web_identity(
    role: &WebIdentitySettings,
    context: &ProviderContext<'_>,
) -> Result<WebIdentityProvider, Vec<Error>> {
    let ProviderContext { base, attribution, .. } = context;
    let mut errors = Vec::new();
    let mut fill = |field, text: &str| fill_claims(context, field, text, ClaimPlace::Name, &mut errors);
    let role_arn = fill("role_arn", &role.role_arn);
    let session = role.session_name.as_deref().map(|name| fill("session_name", name));
    let session = validate::render_session_name(session.as_deref(), attribution, &mut errors);
    let Some(target) = parse_role_target(&role_arn, role.region.as_deref(), &mut errors) else {
        return Err(errors);
    };
    let token = identity_token(role, context).map_err(|error| errors.push(error)).ok();
    let mut steps: Vec<BuilderStep<'_, WebIdentityBuilder>> = Vec::new();
    if let Some(name) = &session {
        steps.push(Box::new(move |builder| builder.session_name(name)));
    }
    if let Some(seconds) = role.duration_seconds {
        steps.push(Box::new(move |builder| builder.session_duration(Duration::from_secs(seconds))));
    }
    if let Some(policy) = &role.policy {
        steps.push(Box::new(move |builder| builder.policy(policy)));
    }
    if context.attribution_mode.tag_sessions().is_some() {
        steps.push(Box::new(|builder| builder.attribution(attribution)));
    }
    steps.push(Box::new(|builder| role.policy_arns.iter().fold(builder, WebIdentityBuilder::policy_arn)));
    let new_builder = || {
        let builder = match &token {
            Some(IdentityToken::Caller(token)) => {
                let token = token.clone();
                let secret = move || {
                    let token = token.clone();
                    async move { token.secret().await }
                };
                WebIdentityProvider::builder(target.role.clone(), secret)
            }
            Some(IdentityToken::File(file)) => WebIdentityProvider::from_file(target.role.clone(), file),
            None => WebIdentityProvider::from_file(target.role.clone(), ""),
        };
        let builder = builder.client_config(base);
        target.region.clone().into_iter().fold(builder, WebIdentityBuilder::region)
    };
    validate::build_or_report(new_builder, &steps, WebIdentityBuilder::build, errors)
}

/// The source of the identity token of an account.
enum IdentityToken<'a> {
    File(&'a Path),
    Caller(CallerToken),
}

fn identity_token<'a>(
    role: &'a WebIdentitySettings,
    context: &ProviderContext<'_>,
) -> Result<IdentityToken<'a>> {
    match (&role.token_file, role.token) {
        (Some(file), None) if !file.as_os_str().is_empty() => Ok(IdentityToken::File(file)),
        (None, Some(TokenSettings::Caller)) => match context.claims {
            // It is not read.
            ClaimSource::Placeholder => Ok(IdentityToken::File(Path::new("caller"))),
            ClaimSource::Caller(caller) => {
                caller.token().cloned().map(IdentityToken::Caller).ok_or_else(no_caller_token)
            }
            ClaimSource::Absent => Err(no_caller_token()),
        },
        _ => Err(Error::invalid("token_file", "must name the file that holds the token").with_next_step(
            "name it, or write `token = \"caller\"` instead for the token of the caller over HTTP",
        )),
    }
}

fn no_caller_token() -> Error {
    Error::invalid("token", "is that of the caller, which has no access token of an issuer")
}

/// Replaces the claims in the text of a field. Reports an error, and returns a text that is valid everywhere.
fn fill_claims(
    context: &ProviderContext<'_>,
    field: &'static str,
    text: &str,
    place: ClaimPlace,
    errors: &mut Vec<Error>,
) -> String {
    let filled = context.claims.fill(field, text, place);
    filled
        .map_err(|error| errors.push(error))
        .or_else(|()| ClaimSource::Placeholder.fill(field, text, place))
        .unwrap_or_default()
}

/// The role and the region of its STS, with placeholders for invalid values.
struct RoleTarget {
    role: RoleArn,
    region: Option<Region>,
}

fn parse_role_target(role: &str, region: Option<&str>, errors: &mut Vec<Error>) -> Option<RoleTarget> {
    let role = hints::check_role(role)
        .and_then(|()| RoleArn::parse("role_arn", role))
        .map_err(|error| errors.push(error));
    let region = region.map(str::parse::<Region>).transpose();
    let usable = region_or_default(&region);
    errors.extend(region.err());
    Some(RoleTarget { role: role.or_else(|()| PLACEHOLDER_ROLE.parse()).ok()?, region: usable })
}
