//! A role of the settings, as a provider, with everything that is wrong with its fields.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{AssumeRoleBuilder, AssumeRoleProvider, SdkBase};
use valetkey::{Attribution, CredentialProvider, Error, NameTemplate, Region, RoleArn};

use super::accounts::or_any;
use crate::settings::{AttributionSettings, RoleSettings};

/// Stands in for a role that is none, so that the rest is checked as well.
const NO_ROLE: &str = "arn:aws:iam::000000000000:role/none";

type Edit<'a> = Box<dyn Fn(AssumeRoleBuilder) -> AssumeRoleBuilder + 'a>;

/// The provider of a role. A builder tells its first fault, so after one each field is tried by itself.
pub(super) fn provider(
    role: &RoleSettings,
    source: &Arc<dyn CredentialProvider>,
    base: &SdkBase,
    usual: AttributionSettings,
    who: &Attribution,
) -> Result<AssumeRoleProvider, Vec<Error>> {
    let mut faults = Vec::new();
    let mut name = |field, text: &Option<String>| {
        let filled = text.as_deref().map(|text| filled(text, who)).transpose();
        filled.map_err(|error| faults.push(error.with_field(field))).ok().flatten()
    };
    let names = Names {
        session: name("session_name", &role.session_name),
        source_identity: name("source_identity", &role.source_identity),
    };
    let arn = RoleArn::parse("role_arn", &role.role_arn).map_err(|error| faults.push(error));
    let region = role.region.as_deref().map(str::parse::<Region>).transpose();
    let usable = or_any(&region);
    faults.extend(region.err());
    let Ok(arn) = arn.or_else(|()| NO_ROLE.parse()) else { return Err(faults) };
    let plain = || {
        let builder = AssumeRoleProvider::builder(arn.clone(), Arc::clone(source)).base(base);
        usable.clone().into_iter().fold(builder, AssumeRoleBuilder::region)
    };
    let mut edits = edits(role, &names);
    let attribution = role.attribution.unwrap_or(usual);
    if attribution != AttributionSettings::None {
        let tags = attribution == AttributionSettings::Tags;
        edits.push(Box::new(move |builder| builder.attribution(who).attribution_tags(tags)));
    }
    let whole = edits.iter().fold(plain(), |builder, edit| edit(builder)).build();
    match whole {
        Ok(provider) if faults.is_empty() => return Ok(provider),
        Ok(_) => {}
        Err(first) => {
            let alone = edits.iter().filter_map(|edit| edit(plain()).build().err());
            faults.extend(alone.chain([first]));
        }
    }
    let mut told = BTreeSet::new();
    faults.retain(|error| told.insert(error.to_string()));
    Err(faults)
}

/// What the role session is called, with templates filled in.
struct Names {
    session: Option<String>,
    source_identity: Option<String>,
}

/// A name with places in it is filled in; any other is the builder's to check.
fn filled(text: &str, attribution: &Attribution) -> Result<String, Error> {
    if text.contains(['{', '}']) {
        text.parse::<NameTemplate>()?.fill(attribution)
    } else {
        Ok(text.to_owned())
    }
}

fn edits<'a>(role: &'a RoleSettings, names: &'a Names) -> Vec<Edit<'a>> {
    let mut edits: Vec<Edit<'_>> = Vec::new();
    if let Some(name) = &names.session {
        edits.push(Box::new(move |builder| builder.session_name(name)));
    }
    if let Some(identity) = &names.source_identity {
        edits.push(Box::new(move |builder| builder.source_identity(identity)));
    }
    if let Some(id) = &role.external_id {
        edits.push(Box::new(move |builder| builder.external_id(id)));
    }
    if let Some(seconds) = role.duration_seconds {
        edits.push(Box::new(move |builder| builder.duration(Duration::from_secs(seconds))));
    }
    if let Some(policy) = &role.policy {
        edits.push(Box::new(move |builder| builder.policy(policy)));
    }
    edits.push(Box::new(|builder| role.policy_arns.iter().fold(builder, AssumeRoleBuilder::policy_arn)));
    edits.push(Box::new(|builder| {
        let builder = role.tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
        role.transitive_tags.iter().fold(builder, AssumeRoleBuilder::transitive_tag)
    }));
    edits
}
