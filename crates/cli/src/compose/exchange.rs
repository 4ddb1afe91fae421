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
use super::trial::{self, BuilderStep};
use crate::settings::{ExchangeSettings, FederationSettings};

/// The name of a federated user without a configured name.
const DEFAULT_FEDERATED_NAME: &str = "valetkey";

/// Builds an account that exchanges the keys of another account.
pub(super) fn build_federation(
    wanted: &FederationSettings,
    around: &ProviderContext<'_>,
) -> Result<FederationProvider, Vec<Error>> {
    let region = wanted.region.as_deref().map(str::parse::<Region>).transpose();
    let usable = region_or_default(&region);
    let mut faults: Vec<Error> = region.err().into_iter().collect();
    let source = || Arc::clone(&around.source);
    let Some(name) = &wanted.name else {
        faults.extend(check_unnamed(wanted));
        let new_builder =
            || with_region(FederationProvider::builder(source()).base(around.base), usable.as_ref());
        let mut edits: Vec<BuilderStep<'_, FederationBuilder<GetSessionTokenRequest>>> = Vec::new();
        edits.extend(with_duration(wanted.duration_seconds).into_iter().chain(with_attribution(around)));
        if let Some(serial) = &wanted.mfa_serial {
            edits.push(Box::new(move |builder| {
                builder.mfa(serial, around.terminal.code(around.name, serial))
            }));
        }
        return trial::build_or_report(
            new_builder,
            &edits,
            FederationBuilder::<GetSessionTokenRequest>::build,
            faults,
        );
    };
    if wanted.mfa_serial.is_some() {
        let fault = Error::invalid("mfa_serial", "must not be given together with `name`");
        faults.push(fault.with_next_step("take out the `name`: a federated user has no MFA"));
    }
    let name = check_name(name, &around.source, around.base, &mut faults);
    let new_builder =
        || with_region(FederationProvider::federated(name, source()).base(around.base), usable.as_ref());
    let mut edits = with_policies(wanted.policy.as_deref(), &wanted.policy_arns);
    edits.extend(with_duration(wanted.duration_seconds).into_iter().chain(with_attribution(around)));
    edits.push(Box::new(|builder| {
        wanted.tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value))
    }));
    trial::build_or_report(new_builder, &edits, FederationBuilder::<GetFederationTokenRequest>::build, faults)
}

/// Builds the key exchange of an account. It never serves long-lived keys, whether `own` or a tool provides them.
pub(super) fn build_key_exchange(
    wanted: &ExchangeSettings,
    own: SharedProvider,
    around: &ProviderContext<'_>,
) -> Result<FederationGuard, Vec<Error>> {
    let base = around.base;
    if !wanted.requests_federated_user() {
        let new_builder = || FederationProvider::builder(Arc::clone(&own)).base(base);
        let edits: Vec<BuilderStep<'_, _>> =
            with_duration(wanted.duration_seconds).into_iter().chain(with_attribution(around)).collect();
        return trial::build_or_report(
            new_builder,
            &edits,
            FederationBuilder::<GetSessionTokenRequest>::build_guard,
            Vec::new(),
        );
    }
    let mut faults = Vec::new();
    let session =
        around.attribution_mode.tag_sessions().and(around.attribution.session_id()).map(SessionId::compact);
    let name = wanted.name.as_deref().or(session.as_deref()).unwrap_or(DEFAULT_FEDERATED_NAME);
    let name = check_name(name, &own, base, &mut faults);
    let new_builder = || FederationProvider::federated(name, Arc::clone(&own)).base(base);
    let mut edits = with_policies(wanted.policy.as_deref(), &wanted.policy_arns);
    edits.extend(with_duration(wanted.duration_seconds).into_iter().chain(with_attribution(around)));
    trial::build_or_report(
        new_builder,
        &edits,
        FederationBuilder::<GetFederationTokenRequest>::build_guard,
        faults,
    )
}

/// Returns the name, or a placeholder for an invalid one, so that the other fields are checked as well.
fn check_name<'a>(
    name: &'a str,
    source: &SharedProvider,
    base: &AwsClientConfig,
    faults: &mut Vec<Error>,
) -> &'a str {
    let built = FederationProvider::federated(name, Arc::clone(source)).base(base).build();
    match built.err().filter(|error| error.field() == Some("name")) {
        Some(error) => {
            faults.push(error);
            DEFAULT_FEDERATED_NAME
        }
        None => name,
    }
}

/// Reports fields that apply only to a federated user.
fn check_unnamed(wanted: &FederationSettings) -> impl Iterator<Item = Error> {
    let federated_only = [
        ("policy", wanted.policy.is_some()),
        ("policy_arns", !wanted.policy_arns.is_empty()),
        ("tags", !wanted.tags.is_empty()),
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
    around: &'a ProviderContext<'_>,
) -> Option<BuilderStep<'a, FederationBuilder<T>>> {
    let tags = around.attribution_mode.tag_sessions()?;
    Some(Box::new(move |builder: FederationBuilder<T>| {
        builder.attribution(&around.attribution).tag_sessions(tags)
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
