//! No `Debug`, `Display`, status, error or log line shows a secret.

use std::sync::Arc;

use valetkey_core::audit::InMemoryAudit;
use valetkey_core::testing::{Canary, CapturedLogs, Script, ScriptedProvider};
use valetkey_core::{
    AccessKeyId, AccountName, Credentials, Expiry, MapResolver, ProviderChain, SecretString, SessionContext,
};

#[tokio::test]
async fn debug_output_and_logs_show_no_secret() {
    let logs = CapturedLogs::default();
    tracing::subscriber::set_global_default(logs.subscriber()).unwrap();
    let (canary, audit) = (Canary::new(), Arc::new(InMemoryAudit::default()));
    let credentials = canary.credentials(Expiry::Never).unwrap();
    let provider = ScriptedProvider::new([Script::Answer(credentials.clone())]);
    let chain = ProviderChain::new(provider.clone());
    let resolver = MapResolver::new().with("id".parse().unwrap(), credentials.clone());
    let half_built = Credentials::builder(
        credentials.access_key_id().clone(),
        SecretString::from(credentials.expose_secret_access_key()),
    );
    let builder =
        SessionContext::builder().audit(audit.clone()).provider(chain.clone()).resolver(resolver.clone());
    let built = format!("{builder:?} {half_built:?} {:?}", credentials.access_key_id());
    let session = builder.build();
    let served = session.credentials().await.unwrap();
    let child = session.with_credentials(credentials.clone()).unwrap();
    let account = child.account(&AccountName::default_account()).unwrap();
    let adopted = session.set_from_resolver(&"id".parse().unwrap(), None).await.unwrap();
    tracing::trace!(?session, ?child, ?account, ?adopted, "the capture works");
    let shown = format!(
        "{built} {credentials:?} {served:?} {provider:?} {chain:?} {resolver:?} {session:?} {child:?} {account:?} \
         {:?} {:?} {:?} {:?} {}",
        session.status(),
        audit.records(),
        session.watch_rotations(),
        audit,
        serde_json::to_string(&session.status()).unwrap(),
    );
    assert_eq!(served.expose_secret_access_key(), canary.expose_secret(), "present where it belongs");
    assert_eq!(canary.found_in(&shown), [""; 0], "{shown}");
    assert!(logs.text().contains("the capture works"));
    assert_eq!(canary.found_in(&logs.text()), [""; 0]);
    assert!(shown.contains(served.access_key_id().last_four()));
}

#[tokio::test]
async fn parse_errors_do_not_repeat_secrets() {
    let canary = Canary::new();
    let secret = canary.expose_secret();
    let id: AccessKeyId = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
    let errors = [
        Credentials::builder(id, SecretString::from(format!("{secret}\n"))).build().unwrap_err(),
        Credentials::from_json(&format!("{{\"secret_access_key\": \"{secret}"), "test").unwrap_err(),
        Credentials::from_json_value(&serde_json::json!({"access_key_id": secret}), "test").unwrap_err(),
        secret.parse::<AccountName>().unwrap_err(),
        Expiry::parse("expires_at", secret).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(canary.found_in(&format!("{error} {error:?}")), [""; 0]);
    }
}

#[tokio::test]
async fn canary_is_found_in_every_encoding() {
    let canary = Canary::new();
    let secret = canary.expose_secret();
    let encoded = secret.replace('/', "%2F").replace('+', "%2B");
    let json = secret.replace('/', "\\/");
    for text in [secret, &encoded, &json] {
        assert_eq!(canary.found_in(&format!("before {text} after")), ["secret"], "{text}");
    }
    let whole = canary.to_json().to_string();
    assert_eq!(canary.found_in(&whole), ["secret", "token", "access_key_id"]);
}
