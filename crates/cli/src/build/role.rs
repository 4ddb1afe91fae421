//! The roles of the settings, assumed with credentials or with an identity token.

use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{AssumeRoleBuilder, AssumeRoleProvider, WebIdentityBuilder, WebIdentityProvider};
use valetkey::{Error, Region, RoleArn};

use super::accounts::region_or_default;
use super::hints;
use super::provider::ProviderContext;
use super::validate::{self, BuilderStep};
use crate::settings::{RoleSettings, WebIdentitySettings};

/// Replaces an invalid role, so that the other fields are checked as well.
const PLACEHOLDER_ROLE: &str = "arn:aws:iam::000000000000:role/none";

/// Builds the provider of a role that is assumed with the credentials of the source.
pub(super) fn build_assume_role(
    role: &RoleSettings,
    context: &ProviderContext<'_>,
) -> Result<AssumeRoleProvider, Vec<Error>> {
    let ProviderContext { source, base, attribution, terminal, .. } = context;
    let mut errors = Vec::new();
    let session = validate::render_session_name(role.session_name.as_deref(), attribution, &mut errors);
    let identity =
        validate::render_source_identity(role.source_identity.as_deref(), attribution, &mut errors);
    let Some(target) = parse_role_target(&role.role_arn, role.region.as_deref(), &mut errors) else {
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
        let builder = role.tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
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
    let session = validate::render_session_name(role.session_name.as_deref(), attribution, &mut errors);
    let Some(target) = parse_role_target(&role.role_arn, role.region.as_deref(), &mut errors) else {
        return Err(errors);
    };
    if role.token_file.as_os_str().is_empty() {
        errors.push(Error::invalid("token_file", "must name the file that holds the token"));
    }
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
        let builder =
            WebIdentityProvider::from_file(target.role.clone(), &role.token_file).client_config(base);
        target.region.clone().into_iter().fold(builder, WebIdentityBuilder::region)
    };
    validate::build_or_report(new_builder, &steps, WebIdentityBuilder::build, errors)
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
