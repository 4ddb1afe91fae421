//! No variable that takes precedence over a session's credentials reaches the child, whatever its configuration
//! names.

use std::collections::BTreeMap;

use proptest::collection::btree_map;
use proptest::prelude::*;
use valetkey_core::SessionContext;
use valetkey_mcp::CredentialEndpoint;
use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionDir};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use crate::keys::keys;

/// In some SDK each of these takes precedence over the container endpoint, or selects other credentials.
const BLOCKED_VARS: [&str; 22] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AMAZON_ACCESS_KEY_ID",
    "AMAZON_SECRET_ACCESS_KEY",
    "AMAZON_SESSION_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_BEARER_TOKEN_S3",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CREDENTIAL_FILE",
    "BOTO_CONFIG",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
const ENDPOINT_VARS: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];
const STATIC_CREDENTIAL_VARS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Generates the variables of a configuration: blocked, harmless and arbitrary ones.
fn any_variables() -> impl Strategy<Value = BTreeMap<String, String>> {
    let outranking = prop::sample::select(BLOCKED_VARS.to_vec()).prop_map(str::to_owned);
    let harmless =
        prop::sample::select(vec!["MODE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "aws_profile"]);
    let name = prop_oneof![4 => outranking, 2 => harmless.prop_map(str::to_owned), 1 => "[A-Z][A-Z_]{0,20}"];
    btree_map(name, "[ -~]{0,20}", 0..24)
}

fn variable_names(environment: &ChildEnvironment) -> Vec<String> {
    serde_json::from_str(&format!("{environment:?}").replace('{', "[").replace('}', "]")).unwrap()
}

/// Returns the blocked variables in the environment, except those in `delivered`.
fn remaining_blocked_vars(environment: &ChildEnvironment, delivered: &[&str]) -> Vec<String> {
    let is_blocked = |name: &str| BLOCKED_VARS.contains(&name) && !delivered.contains(&name);
    variable_names(environment).into_iter().filter(|name| is_blocked(name)).collect()
}

proptest! {
    #[test]
    fn child_environment_never_keeps_credential_overrides(host in any_variables(), named in any_variables()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let home = SessionDir::create(None).unwrap();
        let session = SessionContext::builder().build();
        let endpoint = runtime.block_on(CredentialEndpoint::start()).unwrap();
        let grant = endpoint.grant(session.account(session.default_account()).unwrap(), "child", AdvertisedExpiry::default());
        let host = HostEnvironment::new(host.into_iter().map(|(name, value)| (name.into(), value.into())));
        let isolated = || ChildEnvironment::new(&host, &named).isolate(&home).with_home(&home);

        prop_assert_eq!(remaining_blocked_vars(&isolated(), &[]), [""; 0]);
        let by_endpoint = isolated().with_endpoint(&grant);
        prop_assert_eq!(remaining_blocked_vars(&by_endpoint, &ENDPOINT_VARS), [""; 0]);
        prop_assert!(ENDPOINT_VARS.iter().all(|name| variable_names(&by_endpoint).iter().any(|found| found == name)));
        let by_env = isolated().with_static_credentials(&keys("AAAA"));
        prop_assert_eq!(remaining_blocked_vars(&by_env, &STATIC_CREDENTIAL_VARS), [""; 0]);
        prop_assert!(STATIC_CREDENTIAL_VARS.iter().all(|name| variable_names(&by_env).iter().any(|found| found == name)));
        for name in named.keys().filter(|name| ["MODE", "AWS_ENDPOINT_URL"].contains(&name.as_str())) {
            prop_assert!(variable_names(&by_env).contains(name), "{} was named", name);
        }
    }
}
