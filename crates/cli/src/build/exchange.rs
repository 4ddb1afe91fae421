//! The key exchanges of the settings: long-lived keys in, temporary credentials out.

use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{
    AwsClientConfig, FederationBuilder, FederationGuard, FederationProvider, GetFederationTokenRequest,
    GetSessionTokenRequest,
};
use valetkey::{Error, Region, SessionId};

use super::accounts::region_or_default;
use super::provider::{ProviderContext, SharedProvider};
use super::validate::{self, BuilderStep};
use crate::settings::{ExchangeSettings, FederationSettings};

/// The name of a federated user without a configured name.
const DEFAULT_FEDERATED_NAME: &str = "valetkey";

/// Builds an account that exchanges the keys of another account.
pub(super) fn build_federation(
    settings: &FederationSettings,
    context: &ProviderContext<'_>,
) -> Result<FederationProvider, Vec<Error>> {
    let region = settings.region.as_deref().map(str::parse::<Region>).transpose();
    let usable = region_or_default(&region);
    let mut errors: Vec<Error> = region.err().into_iter().collect();
    let source = || Arc::clone(&context.source);
    let Some(name) = &settings.name else {
        errors.extend(check_unnamed(settings));
        let new_builder =
            || with_region(FederationProvider::builder(source()).base(context.base), usable.as_ref());
        let mut steps: Vec<BuilderStep<'_, FederationBuilder<GetSessionTokenRequest>>> = Vec::new();
        steps.extend(with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)));
        if let Some(serial) = &settings.mfa_serial {
            steps.push(Box::new(move |builder| {
                builder.mfa(serial, context.terminal.code(context.name, serial))
            }));
        }
        return validate::build_or_report(
            new_builder,
            &steps,
            FederationBuilder::<GetSessionTokenRequest>::build,
            errors,
        );
    };
    if settings.mfa_serial.is_some() {
        let error = Error::invalid("mfa_serial", "must not be given together with `name`");
        errors.push(error.with_next_step("take out the `name`: a federated user has no MFA"));
    }
    let name = check_name(name, &context.source, context.base, &mut errors);
    let new_builder =
        || with_region(FederationProvider::federated(name, source()).base(context.base), usable.as_ref());
    let mut steps = with_policies(settings.policy.as_deref(), &settings.policy_arns);
    steps.extend(with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)));
    steps.push(Box::new(|builder| {
        settings.tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value))
    }));
    validate::build_or_report(
        new_builder,
        &steps,
        FederationBuilder::<GetFederationTokenRequest>::build,
        errors,
    )
}

/// Builds the key exchange of an account. It never serves long-lived keys, whether `own` or a tool provides them.
pub(super) fn build_key_exchange(
    settings: &ExchangeSettings,
    own: SharedProvider,
    context: &ProviderContext<'_>,
) -> Result<FederationGuard, Vec<Error>> {
    let base = context.base;
    if !settings.requests_federated_user() {
        let new_builder = || FederationProvider::builder(Arc::clone(&own)).base(base);
        let steps: Vec<BuilderStep<'_, _>> =
            with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)).collect();
        return validate::build_or_report(
            new_builder,
            &steps,
            FederationBuilder::<GetSessionTokenRequest>::build_guard,
            Vec::new(),
        );
    }
    let mut errors = Vec::new();
    let session =
        context.attribution_mode.tag_sessions().and(context.attribution.session_id()).map(SessionId::compact);
    let name = settings.name.as_deref().or(session.as_deref()).unwrap_or(DEFAULT_FEDERATED_NAME);
    let name = check_name(name, &own, base, &mut errors);
    let new_builder = || FederationProvider::federated(name, Arc::clone(&own)).base(base);
    let mut steps = with_policies(settings.policy.as_deref(), &settings.policy_arns);
    steps.extend(with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)));
    validate::build_or_report(
        new_builder,
        &steps,
        FederationBuilder::<GetFederationTokenRequest>::build_guard,
        errors,
    )
}

/// Returns the name, or a placeholder for an invalid one, so that the other fields are checked as well.
fn check_name<'a>(
    name: &'a str,
    source: &SharedProvider,
    base: &AwsClientConfig,
    errors: &mut Vec<Error>,
) -> &'a str {
    let built = FederationProvider::federated(name, Arc::clone(source)).base(base).build();
    match built.err().filter(|error| error.field() == Some("name")) {
        Some(error) => {
            errors.push(error);
            DEFAULT_FEDERATED_NAME
        }
        None => name,
    }
}

/// Reports fields that apply only to a federated user.
fn check_unnamed(settings: &FederationSettings) -> impl Iterator<Item = Error> {
    let federated_only = [
        ("policy", settings.policy.is_some()),
        ("policy_arns", !settings.policy_arns.is_empty()),
        ("tags", !settings.tags.is_empty()),
    ];
    federated_only.into_iter().filter(|(_, said)| *said).map(|(field, _)| {
        Error::invalid(field, "is for a federated user")
            .with_next_step("give the account a `name`, or take it out")
    })
}

fn with_region<T>(builder: FederationBuilder<T>, region: Option<&Region>) -> FederationBuilder<T> {
    region.cloned().into_iter().fold(builder, FederationBuilder::region)
}

fn with_duration<'a, T: 'a>(seconds: Option<u64>) -> Option<BuilderStep<'a, FederationBuilder<T>>> {
    let duration = Duration::from_secs(seconds?);
    Some(Box::new(move |builder: FederationBuilder<T>| builder.session_duration(duration)))
}

/// Adds the attribution. A federated user gets tags if they are enabled.
fn with_attribution<'a, T: 'a>(
    context: &'a ProviderContext<'_>,
) -> Option<BuilderStep<'a, FederationBuilder<T>>> {
    let tags = context.attribution_mode.tag_sessions()?;
    Some(Box::new(move |builder: FederationBuilder<T>| {
        builder.attribution(&context.attribution).tag_sessions(tags)
    }))
}

fn with_policies<'a>(
    policy: Option<&'a str>,
    arns: &'a [String],
) -> Vec<BuilderStep<'a, FederationBuilder<GetFederationTokenRequest>>> {
    let inline = policy.map(|policy| -> BuilderStep<'a, FederationBuilder<GetFederationTokenRequest>> {
        Box::new(move |builder| builder.policy(policy))
    });
    let managed: BuilderStep<'a, _> = Box::new(move |builder| {
        arns.iter().fold(builder, FederationBuilder::<GetFederationTokenRequest>::policy_arn)
    });
    inline.into_iter().chain([managed]).collect()
}
