//! Attribution in the names and tags that STS receives, or an error that names the invalid part.

use std::collections::BTreeMap;

use proptest::prelude::*;
use valetkey_backends::{
    AssumeRoleBuilder, AssumeRoleProvider, FederationTokenBuilder, FederationTokenProvider,
    SessionTokenProvider, WebIdentityProvider,
};
use valetkey_core::{
    Attribution, CredentialProvider, Error, ErrorKind, SecretString, SessionContext, SessionId, SessionPolicy,
};

use crate::http_fixture::{HttpFixture, ROLE_SESSION, issued_response};
use crate::static_source;

const KEYS: [&str; 3] = ["ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"];

fn granting_http(operation: &str) -> HttpFixture {
    HttpFixture::responding(200, issued_response(operation, ROLE_SESSION, KEYS))
}

fn role_builder(http: &HttpFixture) -> AssumeRoleBuilder {
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    AssumeRoleProvider::builder(role, static_source()).client_config(&http.client_config())
}

fn federation_builder(http: &HttpFixture, who: &Attribution) -> FederationTokenBuilder {
    FederationTokenProvider::for_attribution(who, static_source()).client_config(&http.client_config())
}

fn session() -> SessionContext {
    SessionContext::builder().principal("team/alice".parse().unwrap()).build()
}

fn full_attribution(session: &SessionContext) -> Attribution {
    Attribution::for_session(session).account("prod".parse().unwrap()).agent("doctor 7")
}

/// The tags of the only request, in the order they were sent.
fn tags(sent: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let tag = |n: usize| {
        let key = sent.get(&format!("Tags.member.{n}.Key"))?;
        Some((key.as_str(), sent[&format!("Tags.member.{n}.Value")].as_str()))
    };
    (1..).map_while(tag).collect()
}

async fn sent(http: &HttpFixture, provider: &dyn CredentialProvider) -> BTreeMap<String, String> {
    provider.provide().await.unwrap();
    http.requests().last().unwrap().form()
}

#[tokio::test]
async fn role_session_carries_full_attribution() {
    let (http, session) = (granting_http("AssumeRole"), session());
    let id = session.id().to_string();
    let provider =
        role_builder(&http).tag("team", "blue").attribution(&full_attribution(&session)).build().unwrap();
    let sent = sent(&http, &provider).await;
    assert_eq!(sent["RoleSessionName"], format!("valetkey-{id}"));
    assert!(!sent.contains_key("SourceIdentity"), "which needs a permission of its own");
    assert_eq!(
        tags(&sent),
        [
            ("team", "blue"),
            ("valetkey:principal", "team/alice"),
            ("valetkey:session", &id),
            ("valetkey:agent", "doctor 7"),
            ("valetkey:account", "prod"),
        ]
    );
    assert!(
        !sent.keys().any(|key| key.starts_with("TransitiveTagKeys")),
        "the next role has tags of its own"
    );
}

#[tokio::test]
async fn explicit_session_name_overrides_and_template_renders() {
    let (http, session) = (granting_http("AssumeRole"), session());
    let id = session.id();
    for (builder, name) in [
        (role_builder(&http).session_name("agent-7"), "agent-7".to_owned()),
        (role_builder(&http).session_name_from("vk-{session}".parse().unwrap()), format!("vk-{id}")),
    ] {
        let builder = builder.attribution(&full_attribution(&session)).without_attribution_tags();
        let builder = builder.source_identity_from("{account}@{session}".parse().unwrap());
        let sent = sent(&http, &builder.build().unwrap()).await;
        assert_eq!((&sent["RoleSessionName"], &sent["SourceIdentity"]), (&name, &format!("prod@{id}")));
        assert!(tags(&sent).is_empty(), "turned off");
    }
}

#[tokio::test]
async fn federated_user_name_and_tags_carry_attribution() {
    let (http, session) = (granting_http("GetFederationToken"), session());
    let provider = federation_builder(&http, &full_attribution(&session)).build().unwrap();
    let attributed = sent(&http, &provider).await;
    assert_eq!(attributed["Name"].parse::<SessionId>().unwrap(), session.id());
    assert_eq!(tags(&attributed).len(), 4);

    let named =
        FederationTokenProvider::builder("alice", static_source()).client_config(&http.client_config());
    let named = named.attribution(&full_attribution(&session)).without_attribution_tags().build().unwrap();
    let named = sent(&http, &named).await;
    assert_eq!((named["Name"].as_str(), tags(&named).len()), ("alice", 0));
}

#[tokio::test]
async fn session_token_without_policy_sends_no_attribution() {
    let (http, session) = (granting_http("GetSessionToken"), session());
    let exchange = SessionTokenProvider::builder(static_source()).client_config(&http.client_config());
    let exchange = exchange.attribution(&full_attribution(&session)).build().unwrap();
    assert_eq!(sent(&http, &exchange).await.keys().collect::<Vec<_>>(), ["Action", "Version"]);

    let http = granting_http("GetFederationToken");
    let exchange = SessionTokenProvider::builder(static_source()).client_config(&http.client_config());
    let exchange = exchange.attribution(&full_attribution(&session)).build().unwrap();
    let narrowed = exchange.scope_down(&SessionPolicy::read_only(["s3"]).unwrap()).unwrap();
    let sent = sent(&http, &*narrowed).await;
    assert_eq!((&sent["Name"], tags(&sent).len()), (&session.id().compact(), 4));
}

#[tokio::test]
async fn web_identity_attribution_is_session_name_only() {
    let (http, session) = (granting_http("AssumeRoleWithWebIdentity"), session());
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let token = || async { Ok(SecretString::from("any-token")) };
    let provider = WebIdentityProvider::builder(role, token).client_config(&http.client_config());
    let provider = provider.attribution(&full_attribution(&session)).build().unwrap();
    let sent = sent(&http, &provider).await;
    assert_eq!(sent["RoleSessionName"], format!("valetkey-{}", session.id()));
    assert!(tags(&sent).is_empty());
}

fn assert_invalid(error: &Error, field: &str) {
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
    assert!(error.next_step().is_some(), "{error}");
}

#[test]
fn attribution_missing_value_fails_build() {
    let (http, empty) = (granting_http("AssumeRole"), Attribution::new());
    assert_invalid(&role_builder(&http).attribution(&empty).build().unwrap_err(), "session_name");
    let principal = || "{principal}".parse().unwrap();
    assert_invalid(
        &role_builder(&http).source_identity_from(principal()).build().unwrap_err(),
        "source_identity",
    );
    assert_invalid(&role_builder(&http).session_name_from(principal()).build().unwrap_err(), "session_name");
    assert_eq!(federation_builder(&http, &empty).build().unwrap_err().field(), Some("name"));
}

#[test]
fn attribution_tag_key_duplicate_is_invalid() {
    let (http, session) = (granting_http("AssumeRole"), session());
    for key in ["valetkey:session", "Valetkey:Session"] {
        let forged =
            role_builder(&http).tag(key, "another-principal").attribution(&full_attribution(&session));
        assert_eq!(forged.build().unwrap_err().field(), Some("tags"), "{key}");
    }
}

proptest! {
    /// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, up to 256 (API reference of STS, `Tag`).
    #[test]
    fn attribution_agent_outside_tag_charset_is_invalid(agent in "[a-zé0-9 _.:/=+@,#\t-]{0,40}|a{250,260}") {
        let (http, session) = (granting_http("AssumeRole"), session());
        let who = Attribution::for_session(&session).agent(agent.as_str());
        let fits = agent.chars().count() <= 256 && !agent.contains([',', '#', '\t']) && !agent.starts_with("aws:");
        let errors = [
            role_builder(&http).attribution(&who).build().err(),
            federation_builder(&http, &who).build().err(),
        ];
        for error in errors {
            prop_assert_eq!(error.is_none(), fits);
            if let Some(error) = error {
                assert_invalid(&error, "attribution");
                prop_assert!(error.message().contains("valetkey:agent"));
                prop_assert!(agent.len() < 4 || !format!("{error} {error:?}").contains(&agent), "{}", error);
            }
        }
        prop_assert!(role_builder(&http).attribution(&who).without_attribution_tags().build().is_ok(), "the name is the session's");
    }
}
