//! The exchanges of the settings: long-lived keys in, temporary ones out.

use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{
    GetFederationTokenRequest, FederationBuilder, FederationGuard, FederationProvider, SdkBase, GetSessionTokenRequest,
};
use valetkey::{Error, Region, SessionId};

use super::accounts::or_any;
use super::provider::{Around, Provider};
use super::trial::{self, Edit};
use crate::settings::{ExchangeSettings, FederationSettings};

/// What a federated user is called that has no name.
const NAME: &str = "valetkey";

/// An account of its own, for the keys of another.
pub(super) fn provider(
    wanted: &FederationSettings,
    around: &Around<'_>,
) -> Result<FederationProvider, Vec<Error>> {
    let region = wanted.region.as_deref().map(str::parse::<Region>).transpose();
    let usable = or_any(&region);
    let mut faults: Vec<Error> = region.err().into_iter().collect();
    let source = || Arc::clone(&around.source);
    let Some(name) = &wanted.name else {
        faults.extend(nameless(wanted));
        let plain = || placed(FederationProvider::builder(source()).base(around.base), usable.as_ref());
        let mut edits: Vec<Edit<'_, FederationBuilder<GetSessionTokenRequest>>> = Vec::new();
        edits.extend(lasting(wanted.duration_seconds).into_iter().chain(marked(around)));
        if let Some(serial) = &wanted.mfa_serial {
            edits.push(Box::new(move |builder| {
                builder.mfa(serial, around.terminal.code(around.name, serial))
            }));
        }
        return trial::build(plain, &edits, FederationBuilder::<GetSessionTokenRequest>::build, faults);
    };
    if wanted.mfa_serial.is_some() {
        let fault = Error::invalid("mfa_serial", "must not be given together with `name`");
        faults.push(fault.with_next_step("take out the `name`: a federated user has no MFA"));
    }
    let name = sound(name, &around.source, around.base, &mut faults);
    let plain = || placed(FederationProvider::federated(name, source()).base(around.base), usable.as_ref());
    let mut edits = narrowing(wanted.policy.as_deref(), &wanted.policy_arns);
    edits.extend(lasting(wanted.duration_seconds).into_iter().chain(marked(around)));
    edits.push(Box::new(|builder| {
        wanted.tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value))
    }));
    trial::build(plain, &edits, FederationBuilder::<GetFederationTokenRequest>::build, faults)
}

/// The guard of an account: no long-lived key leaves it, whether `own` provides it or a tool sets it.
pub(super) fn guard(
    wanted: &ExchangeSettings,
    own: Provider,
    around: &Around<'_>,
) -> Result<FederationGuard, Vec<Error>> {
    let base = around.base;
    if !wanted.federates() {
        let plain = || FederationProvider::builder(Arc::clone(&own)).base(base);
        let edits: Vec<Edit<'_, _>> =
            lasting(wanted.duration_seconds).into_iter().chain(marked(around)).collect();
        return trial::build(plain, &edits, FederationBuilder::<GetSessionTokenRequest>::build_guard, Vec::new());
    }
    let mut faults = Vec::new();
    let session = around.attribution.tags().and(around.who.session_id()).map(SessionId::compact);
    let name = wanted.name.as_deref().or(session.as_deref()).unwrap_or(NAME);
    let name = sound(name, &own, base, &mut faults);
    let plain = || FederationProvider::federated(name, Arc::clone(&own)).base(base);
    let mut edits = narrowing(wanted.policy.as_deref(), &wanted.policy_arns);
    edits.extend(lasting(wanted.duration_seconds).into_iter().chain(marked(around)));
    trial::build(plain, &edits, FederationBuilder::<GetFederationTokenRequest>::build_guard, faults)
}

/// The name, or one that stands in for it, so that the rest is checked as well.
fn sound<'a>(name: &'a str, source: &Provider, base: &SdkBase, faults: &mut Vec<Error>) -> &'a str {
    let tried = FederationProvider::federated(name, Arc::clone(source)).base(base).build();
    match tried.err().filter(|error| error.field() == Some("name")) {
        Some(error) => {
            faults.push(error);
            NAME
        }
        None => name,
    }
}

/// What only a federated user has.
fn nameless(wanted: &FederationSettings) -> impl Iterator<Item = Error> {
    let said = [
        ("policy", wanted.policy.is_some()),
        ("policy_arns", !wanted.policy_arns.is_empty()),
        ("tags", !wanted.tags.is_empty()),
    ];
    said.into_iter().filter(|(_, said)| *said).map(|(field, _)| {
        Error::invalid(field, "is for a federated user")
            .with_next_step("give the account a `name`, or take it out")
    })
}

fn placed<T>(builder: FederationBuilder<T>, region: Option<&Region>) -> FederationBuilder<T> {
    region.cloned().into_iter().fold(builder, FederationBuilder::region)
}

fn lasting<'a, T: 'a>(seconds: Option<u64>) -> Option<Edit<'a, FederationBuilder<T>>> {
    let duration = Duration::from_secs(seconds?);
    Some(Box::new(move |builder: FederationBuilder<T>| builder.session_duration(duration)))
}

/// Says who is behind the keys: of a federated user, by tags if they are wanted.
fn marked<'a, T: 'a>(around: &'a Around<'_>) -> Option<Edit<'a, FederationBuilder<T>>> {
    let tags = around.attribution.tags()?;
    Some(Box::new(move |builder: FederationBuilder<T>| {
        builder.attribution(&around.who).tag_sessions(tags)
    }))
}

fn narrowing<'a>(
    policy: Option<&'a str>,
    arns: &'a [String],
) -> Vec<Edit<'a, FederationBuilder<GetFederationTokenRequest>>> {
    let inline = policy.map(|policy| -> Edit<'a, FederationBuilder<GetFederationTokenRequest>> {
        Box::new(move |builder| builder.policy(policy))
    });
    let managed: Edit<'a, _> =
        Box::new(move |builder| arns.iter().fold(builder, FederationBuilder::<GetFederationTokenRequest>::policy_arn));
    inline.into_iter().chain([managed]).collect()
}
