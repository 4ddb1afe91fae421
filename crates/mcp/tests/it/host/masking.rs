//! What servers say of what they were given is masked: also what opens the endpoint, and what they read while starting.

use valetkey_core::Expiry;
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::{Canary, Script, ScriptedProvider};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use crate::keys::keys;
use crate::stage::{Stage, fixture};

/// Says `word` and ends.
fn last_words(word: &str) -> ServerConfig {
    let mut server = ServerConfig::new("bash");
    server.args = ["-c", &format!("{READ}; echo said {word} >&2; exit 3")].map(str::to_owned).to_vec();
    server
}

/// The shell's own way to ask the endpoint.
const READ: &str = r#"IFS=/ read -r _ _ address path <<< "$AWS_CONTAINER_CREDENTIALS_FULL_URI"
    IFS=: read -r host port <<< "$address"
    exec 3<>"/dev/tcp/$host/$port"
    printf 'GET /%s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n' \
        "$path" "$address" "$AWS_CONTAINER_AUTHORIZATION_TOKEN" >&3
    read -r -d '' answer <&3"#;

async fn fault(word: &str, canary: &Canary) -> String {
    let stage = Stage::bare([("broken", last_words(word))]).await;
    // Nobody asks for this set before the server does.
    let provider = ScriptedProvider::new([Script::Answer(canary.credentials(Expiry::Never).unwrap())]);
    stage.session.set_provider_for(stage.session.default_account(), provider).unwrap();
    let catalog = stage.catalog().await;
    stage.host.shutdown().await;
    catalog.faults[0].error.to_string()
}

#[tokio::test]
async fn the_token_and_the_address_of_the_endpoint_are_masked() {
    let canary = Canary::new();
    let told = fault("$AWS_CONTAINER_AUTHORIZATION_TOKEN", &canary).await;
    assert!(told.contains("said [redacted]"), "{told}");
    let told = fault("$AWS_CONTAINER_CREDENTIALS_FULL_URI", &canary).await;
    assert!(told.contains("/credentials/[redacted]"), "{told}");
}

#[tokio::test]
async fn a_set_that_a_server_reads_while_it_starts_is_masked() {
    let canary = Canary::new();
    let told = fault("$answer", &canary).await;
    assert!(told.contains("SecretAccessKey") && told.contains("[redacted]"), "{told}");
    assert_eq!(canary.found_in(&told), ["access_key_id"], "{told}");
}

#[tokio::test]
async fn keys_in_an_environment_are_on_record_once_for_each_process() {
    let stage = Stage::bare([("fixture", fixture(Delivery::Env))]).await;
    let served = || {
        let records = stage.audit.records();
        let by = |party: Option<&str>| party == Some("fixture");
        records.iter().filter(|r| r.event == AuditEvent::Serve && by(r.party.as_deref())).count()
    };
    stage.catalog().await;
    assert_eq!(served(), 0, "there were no keys yet");
    for (count, name) in [(1, "AAAA"), (2, "BBBB")] {
        stage.session.set_credentials(keys(name)).unwrap();
        stage.key_and_pid().await;
        assert_eq!(served(), count);
    }
    stage.host.shutdown().await;
}
