//! The key exchanges of the settings: long-lived keys in, temporary credentials out.

use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{
    AwsClientConfig, FederationTokenBuilder, FederationTokenProvider, SessionTokenBuilder,
    SessionTokenProvider, StsKeyExchange,
};
use valetkey::{Attribution, Error, Region, SessionId};

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
) -> Result<SharedProvider, Vec<Error>> {
    let region = settings.region.as_deref().map(str::parse::<Region>).transpose();
    let usable = region_or_default(&region);
    let mut errors: Vec<Error> = region.err().into_iter().collect();
    let source = || Arc::clone(&context.source);
    let Some(name) = &settings.name else {
        errors.extend(check_unnamed(settings));
        let new_builder = || {
            with_region(SessionTokenProvider::builder(source()).client_config(context.base), usable.as_ref())
        };
        let mut steps: Vec<BuilderStep<'_, SessionTokenBuilder>> = Vec::new();
        steps.extend(with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)));
        if let Some(serial) = &settings.mfa_serial {
            steps.push(Box::new(move |builder| {
                builder.mfa(serial, context.terminal.code(context.name, serial))
            }));
        }
        let provider = validate::build_or_report(new_builder, &steps, SessionTokenBuilder::build, errors)?;
        return Ok(Arc::new(provider));
    };
    if settings.mfa_serial.is_some() {
        let error = Error::invalid("mfa_serial", "must not be given together with `name`");
        errors.push(error.with_next_step("take out the `name`: a federated user has no MFA"));
    }
    let name = check_name(name, &context.source, context.base, &mut errors);
    let new_builder = || {
        with_region(
            FederationTokenProvider::builder(name, source()).client_config(context.base),
            usable.as_ref(),
        )
    };
    let mut steps = with_policies(settings.policy.as_deref(), &settings.policy_arns);
    steps.extend(with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)));
    steps.push(Box::new(|builder| {
        settings.tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value))
    }));
    let provider = validate::build_or_report(new_builder, &steps, FederationTokenBuilder::build, errors)?;
    Ok(Arc::new(provider))
}

/// Builds the key exchange of an account. It never serves long-lived keys, whether `own` or a tool provides them.
pub(super) fn build_key_exchange(
    settings: &ExchangeSettings,
    own: SharedProvider,
    context: &ProviderContext<'_>,
) -> Result<StsKeyExchange, Vec<Error>> {
    let base = context.base;
    if !settings.requests_federated_user() {
        let new_builder = || SessionTokenProvider::builder(Arc::clone(&own)).client_config(base);
        let steps: Vec<BuilderStep<'_, _>> =
            with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)).collect();
        return validate::build_or_report(
            new_builder,
            &steps,
            SessionTokenBuilder::build_key_exchange,
            Vec::new(),
        );
    }
    let mut errors = Vec::new();
    let session =
        context.attribution_mode.tag_sessions().and(context.attribution.session_id()).map(SessionId::compact);
    let name = settings.name.as_deref().or(session.as_deref()).unwrap_or(DEFAULT_FEDERATED_NAME);
    let name = check_name(name, &own, base, &mut errors);
    let new_builder = || FederationTokenProvider::builder(name, Arc::clone(&own)).client_config(base);
    let mut steps = with_policies(settings.policy.as_deref(), &settings.policy_arns);
    steps.extend(with_duration(settings.duration_seconds).into_iter().chain(with_attribution(context)));
    validate::build_or_report(new_builder, &steps, FederationTokenBuilder::build_key_exchange, errors)
}

/// Returns the name, or a placeholder for an invalid one, so that the other fields are checked as well.
fn check_name<'a>(
    name: &'a str,
    source: &SharedProvider,
    base: &AwsClientConfig,
    errors: &mut Vec<Error>,
) -> &'a str {
    let built = FederationTokenProvider::builder(name, Arc::clone(source)).client_config(base).build();
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

/// The settings that both kinds of exchange have.
trait ExchangeBuilder: Sized {
    fn region(self, region: Region) -> Self;
    fn session_duration(self, duration: Duration) -> Self;
    fn attribution(self, attribution: &Attribution) -> Self;
    fn without_attribution_tags(self) -> Self;
}

impl ExchangeBuilder for SessionTokenBuilder {
    fn region(self, region: Region) -> Self {
        self.region(region)
    }

    fn session_duration(self, duration: Duration) -> Self {
        self.session_duration(duration)
    }

    fn attribution(self, attribution: &Attribution) -> Self {
        self.attribution(attribution)
    }

    fn without_attribution_tags(self) -> Self {
        self.without_attribution_tags()
    }
}

impl ExchangeBuilder for FederationTokenBuilder {
    fn region(self, region: Region) -> Self {
        self.region(region)
    }

    fn session_duration(self, duration: Duration) -> Self {
        self.session_duration(duration)
    }

    fn attribution(self, attribution: &Attribution) -> Self {
        self.attribution(attribution)
    }

    fn without_attribution_tags(self) -> Self {
        self.without_attribution_tags()
    }
}

fn with_region<B: ExchangeBuilder>(builder: B, region: Option<&Region>) -> B {
    region.cloned().into_iter().fold(builder, B::region)
}

fn with_duration<'a, B: ExchangeBuilder + 'a>(seconds: Option<u64>) -> Option<BuilderStep<'a, B>> {
    let duration = Duration::from_secs(seconds?);
    Some(Box::new(move |builder: B| builder.session_duration(duration)))
}

/// Adds the attribution. A federated user gets tags if they are enabled.
fn with_attribution<'a, B: ExchangeBuilder + 'a>(
    context: &'a ProviderContext<'_>,
) -> Option<BuilderStep<'a, B>> {
    let has_tags = context.attribution_mode.tag_sessions()?;
    Some(Box::new(move |builder: B| {
        let builder = builder.attribution(&context.attribution);
        if has_tags { builder } else { builder.without_attribution_tags() }
    }))
}

fn with_policies<'a>(
    policy: Option<&'a str>,
    arns: &'a [String],
) -> Vec<BuilderStep<'a, FederationTokenBuilder>> {
    let inline = policy.map(|policy| -> BuilderStep<'a, FederationTokenBuilder> {
        Box::new(move |builder| builder.policy(policy))
    });
    let managed: BuilderStep<'a, _> =
        Box::new(move |builder| arns.iter().fold(builder, FederationTokenBuilder::policy_arn));
    inline.into_iter().chain([managed]).collect()
}
