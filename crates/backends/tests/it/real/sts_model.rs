//! The limits that the builders check, beside the service model of botocore, which is the one that AWS publishes.

use std::time::Duration;

use valetkey_backends::{
    AssumeRoleBuilder, AssumeRoleProvider, FederationTokenBuilder, FederationTokenProvider, ScopedBuilder,
    ScopedProvider, SessionTokenBuilder, SessionTokenProvider, WebIdentityBuilder, WebIdentityProvider,
};
use valetkey_core::{Error, ErrorKind, Expiry, RoleArn, SecretString};
use valetkey_rig::{Script, Venv};

use crate::http_fixture::HttpFixture;
use crate::scoped::temporary_credentials;
use crate::{memory_source, static_source};

/// Prints the shortest and the longest value of each member of a request, and the ASCII characters that its pattern
/// allows. Python has no classes such as `\p{L}`; members with one have no such list.
const MODEL: &str = r#"
import json, re, botocore.session
model = botocore.session.get_session().get_service_model("sts")
def limits(shape):
    pattern = shape.metadata.get("pattern", "\\p")
    allowed = [c for c in map(chr, range(128)) if re.fullmatch(pattern, c, re.ASCII)] if "\\p" not in pattern else None
    return {"min": shape.metadata.get("min"), "max": shape.metadata.get("max"), "allowed": allowed}
found = {}
for operation in model.operation_names:
    shape = model.operation_model(operation).input_shape
    for name, member in (shape.members if shape else {}).items():
        found[f"{operation} {name}"] = limits(member)
        if name == "Tags":
            found.update({f"{operation} {name} {part}": limits(tag) for part, tag in member.member.members.items()})
print(json.dumps(found))
"#;

async fn model() -> serde_json::Value {
    let text = Script::python_in(Venv::Botocore, "-c").arg(MODEL).run().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

type Accepts<T> = Box<dyn Fn(T) -> bool>;

fn role_of(arn: &str) -> Option<AssumeRoleBuilder> {
    let arn = arn.parse::<RoleArn>().ok()?;
    Some(
        AssumeRoleProvider::builder(arn, static_source())
            .client_config(&HttpFixture::responding(500, "").client_config()),
    )
}

fn role() -> AssumeRoleBuilder {
    role_of("arn:aws:iam::111111111111:role/agent").unwrap()
}

fn web() -> WebIdentityBuilder {
    let role = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    let token = || async { Ok(SecretString::from("token")) };
    WebIdentityProvider::builder(role, token).client_config(&HttpFixture::responding(500, "").client_config())
}

fn user() -> SessionTokenBuilder {
    SessionTokenProvider::builder(static_source())
        .client_config(&HttpFixture::responding(500, "").client_config())
}

fn federated(name: &str) -> FederationTokenBuilder {
    FederationTokenProvider::builder(name, static_source())
        .client_config(&HttpFixture::responding(500, "").client_config())
}

fn scoped() -> ScopedBuilder {
    ScopedProvider::builder(memory_source(temporary_credentials(Expiry::Never)))
        .client_config(&HttpFixture::responding(500, "").client_config())
}

async fn no_code() -> Result<SecretString, Error> {
    Err(Error::new(ErrorKind::Internal, "no call is made here"))
}

/// Members that are texts, by what the builder accepts.
fn texts() -> Vec<(&'static str, Accepts<String>)> {
    vec![
        ("AssumeRole RoleSessionName", Box::new(|text| role().session_name(text).build().is_ok())),
        ("AssumeRole SourceIdentity", Box::new(|text| role().source_identity(text).build().is_ok())),
        ("AssumeRole ExternalId", Box::new(|text| role().external_id(text).build().is_ok())),
        ("AssumeRole SerialNumber", Box::new(|text| role().mfa(text, no_code).build().is_ok())),
        ("AssumeRole Tags Key", Box::new(|text| role().tag(text, "v").build().is_ok())),
        ("AssumeRole Tags Value", Box::new(|text| role().tag("k", text).build().is_ok())),
        (
            "AssumeRoleWithWebIdentity RoleSessionName",
            Box::new(|text| web().session_name(text).build().is_ok()),
        ),
        ("AssumeRoleWithWebIdentity ProviderId", Box::new(|text| web().provider_id(text).build().is_ok())),
        ("GetSessionToken SerialNumber", Box::new(|text| user().mfa(text, no_code).build().is_ok())),
        ("GetFederationToken Name", Box::new(|text| federated(&text).build().is_ok())),
        ("GetFederationToken Tags Key", Box::new(|text| federated("ab").tag(text, "v").build().is_ok())),
        ("GetFederationToken Tags Value", Box::new(|text| federated("ab").tag("k", text).build().is_ok())),
        (
            "GetScopedCredentials ScopedSessionDescription",
            Box::new(|text| scoped().description(text).build().is_ok()),
        ),
    ]
}

/// Members that are numbers, or lists of as many items.
fn numbers() -> Vec<(&'static str, Accepts<u64>)> {
    let seconds = Duration::from_secs;
    let tags = |count: u64| (0..count).fold(role(), |builder, n| builder.tag(format!("k{n}"), "v"));
    let transitive =
        |count: u64| (0..count).fold(role().tag("k", "v"), |builder, _| builder.transitive_tag("k"));
    vec![
        (
            "AssumeRole DurationSeconds",
            Box::new(move |n| role().session_duration(seconds(n)).build().is_ok()),
        ),
        ("AssumeRole Tags", Box::new(move |n| tags(n).build().is_ok())),
        ("AssumeRole TransitiveTagKeys", Box::new(move |n| transitive(n).build().is_ok())),
        (
            "AssumeRoleWithWebIdentity DurationSeconds",
            Box::new(move |n| web().session_duration(seconds(n)).build().is_ok()),
        ),
        (
            "GetSessionToken DurationSeconds",
            Box::new(move |n| user().session_duration(seconds(n)).build().is_ok()),
        ),
        (
            "GetFederationToken DurationSeconds",
            Box::new(move |n| federated("ab").session_duration(seconds(n)).build().is_ok()),
        ),
        (
            "GetScopedCredentials DurationSeconds",
            Box::new(move |n| scoped().session_duration(seconds(n)).build().is_ok()),
        ),
    ]
}

/// Members whose shortest value is no valid one anyway, by the longest.
fn longest() -> Vec<(&'static str, Accepts<usize>)> {
    let policy = |length: usize| format!("{{\"Sid\":\"{}\"}}", "p".repeat(length - 10));
    let arn = |length: usize| format!("{:r<length$}", "arn:aws:iam::111111111111:role/");
    vec![
        ("AssumeRole RoleArn", Box::new(move |n| role_of(&arn(n)).is_some())),
        ("AssumeRoleWithWebIdentity Policy", Box::new(move |n| web().policy(policy(n)).build().is_ok())),
        ("GetFederationToken Policy", Box::new(move |n| federated("ab").policy(policy(n)).build().is_ok())),
    ]
}

/// The name of a member, and the largest and the smallest value that the model allows.
fn bounds(model: &serde_json::Value, member: &str) -> (u64, u64) {
    let limits = &model[member];
    let max = limits["max"].as_u64().unwrap_or_else(|| panic!("the model has no limit for {member}"));
    (limits["min"].as_u64().unwrap_or(0), max)
}

#[tokio::test]
async fn sts_limits_match_botocore_model() {
    let model = model().await;
    let both_sides = |member: &str, accepts: &dyn Fn(u64) -> bool| {
        let (min, max) = bounds(&model, member);
        assert!(accepts(max) && !accepts(max + 1), "{member}: at most {max}");
        assert!(accepts(min) && (min == 0 || !accepts(min - 1)), "{member}: at least {min}");
    };
    for (member, accepts) in texts() {
        both_sides(member, &|length| accepts("a".repeat(length.try_into().unwrap())));
    }
    for (member, accepts) in numbers() {
        both_sides(member, &*accepts);
    }
    for (member, accepts) in longest() {
        let max = usize::try_from(bounds(&model, member).1).unwrap();
        assert!(accepts(max) && !accepts(max + 1), "{member}: at most {max}");
    }
}

#[tokio::test]
async fn sts_characters_match_botocore_model() {
    let model = model().await;
    let mut compared = 0;
    for (member, accepts) in texts() {
        let Some(allowed) = model[member]["allowed"].as_array() else { continue };
        for byte in 0..128_u8 {
            let c = char::from(byte);
            let is_allowed = allowed.contains(&c.to_string().into());
            assert_eq!(accepts(format!("abcdefghi{c}")), is_allowed, "{member}: {c:?}");
        }
        compared += 1;
    }
    assert_eq!(
        compared, 8,
        "the model has patterns for all of them but tags, the serial of a host and the like"
    );
}
