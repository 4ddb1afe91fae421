//! Whatever a configuration names, nothing that outranks a session's credentials reaches the child.

use std::collections::BTreeMap;

use proptest::collection::btree_map;
use proptest::prelude::*;
use valetkey_core::SessionContext;
use valetkey_mcp::CredentialEndpoint;
use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionHome};
use valetkey_mcp::endpoint::Leash;

use crate::keys::keys;

/// In some SDK each of these is asked before the container endpoint, or leads elsewhere.
const OUTRANKING: [&str; 22] = [
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
const OF_ENDPOINT: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];
const OF_ENV: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Variables as people write them: outranking ones, harmless ones, anything.
fn variables() -> impl Strategy<Value = BTreeMap<String, String>> {
    let outranking = prop::sample::select(OUTRANKING.to_vec()).prop_map(str::to_owned);
    let harmless =
        prop::sample::select(vec!["MODE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "aws_profile"]);
    let name = prop_oneof![4 => outranking, 2 => harmless.prop_map(str::to_owned), 1 => "[A-Z][A-Z_]{0,20}"];
    btree_map(name, "[ -~]{0,20}", 0..24)
}

fn names(environment: &ChildEnvironment) -> Vec<String> {
    serde_json::from_str(&format!("{environment:?}").replace('{', "[").replace('}', "]")).unwrap()
}

/// What got through, of the list and not by delivery.
fn survivors(environment: &ChildEnvironment, delivered: &[&str]) -> Vec<String> {
    let outranks = |name: &str| OUTRANKING.contains(&name) && !delivered.contains(&name);
    names(environment).into_iter().filter(|name| outranks(name)).collect()
}

proptest! {
    #[test]
    fn nothing_that_outranks_the_session_survives(host in variables(), named in variables()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let home = SessionHome::create(None).unwrap();
        let session = SessionContext::builder().build();
        let endpoint = runtime.block_on(CredentialEndpoint::start()).unwrap();
        let grant = endpoint.grant(session.account(session.default_account()).unwrap(), "child", Leash::default());
        let host = HostEnvironment::new(host.into_iter().map(|(name, value)| (name.into(), value.into())));
        let shut = || ChildEnvironment::new(&host, &named).shut(&home).at_home(&home);

        prop_assert_eq!(survivors(&shut(), &[]), [""; 0]);
        let by_endpoint = shut().endpoint(&grant);
        prop_assert_eq!(survivors(&by_endpoint, &OF_ENDPOINT), [""; 0]);
        prop_assert!(OF_ENDPOINT.iter().all(|name| names(&by_endpoint).iter().any(|found| found == name)));
        let by_env = shut().keys(&keys("AAAA"));
        prop_assert_eq!(survivors(&by_env, &OF_ENV), [""; 0]);
        prop_assert!(OF_ENV.iter().all(|name| names(&by_env).iter().any(|found| found == name)));
        for name in named.keys().filter(|name| ["MODE", "AWS_ENDPOINT_URL"].contains(&name.as_str())) {
            prop_assert!(names(&by_env).contains(name), "{} was named", name);
        }
    }
}
