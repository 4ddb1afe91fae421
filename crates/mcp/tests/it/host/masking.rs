//! Server output that contains the server's secrets is masked, including endpoint tokens and credentials fetched
//! during startup.

use std::fs;
use std::sync::Arc;

use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::{Canary, Script, ScriptedProvider};
use valetkey_core::{AccessScope, AccountName, CredentialProvider, Expiry, ObservedProvider};
use valetkey_mcp::child::{Delivery, HostEnvironment};
use valetkey_mcp::config::ServerConfig;

use crate::host_fixture::{HostFixture, fixture_server};
use crate::keys::{assert_masks_are_whole, keys};

/// Returns a server that prints `word` and exits.
fn server_printing(word: &str) -> ServerConfig {
    let mut server = ServerConfig::new("bash");
    server.args =
        ["-c", &format!("{READ_ENDPOINT_SCRIPT}; echo said {word} >&2; exit 3")].map(str::to_owned).to_vec();
    server
}

/// Reads the endpoint with features of the shell alone.
const READ_ENDPOINT_SCRIPT: &str = r#"IFS=/ read -r _ _ address path <<< "$AWS_CONTAINER_CREDENTIALS_FULL_URI"
    IFS=: read -r host port <<< "$address"
    exec 3<>"/dev/tcp/$host/$port"
    printf 'GET /%s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n' \
        "$path" "$address" "$AWS_CONTAINER_AUTHORIZATION_TOKEN" >&3
    read -r -d '' answer <&3"#;

async fn start_error(word: &str, canary: &Canary) -> String {
    let fixture = HostFixture::without_credentials([("broken", server_printing(word))]).await;
    // The server is the first to fetch these credentials.
    let provider = ScriptedProvider::new([Script::Answer(canary.credentials(Expiry::Never).unwrap())]);
    fixture.session.set_provider(provider).unwrap();
    let catalog = fixture.catalog().await;
    fixture.host.shutdown().await;
    catalog.errors[0].error.to_string()
}

#[tokio::test]
async fn stderr_with_endpoint_url_and_token_is_masked() {
    let canary = Canary::new();
    let message = start_error("$AWS_CONTAINER_AUTHORIZATION_TOKEN", &canary).await;
    assert!(message.ends_with("said [redacted]") || message.contains("said [redacted];"), "{message}");
    let message = start_error("$AWS_CONTAINER_CREDENTIALS_FULL_URI", &canary).await;
    assert!(
        message.ends_with("/credentials/[redacted]") || message.contains("/credentials/[redacted];"),
        "{message}"
    );
}

#[tokio::test]
async fn stderr_with_credentials_read_at_start_is_masked() {
    let canary = Canary::new();
    let message = start_error("$answer", &canary).await;
    assert!(message.contains("SecretAccessKey"), "{message}");
    assert_masks_are_whole(&message);
    assert_eq!(canary.found_in(&message), ["access_key_id"], "{message}");
}

#[tokio::test]
async fn audit_env_delivery_is_recorded_once_for_each_process() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Env))]).await;
    let served = || {
        let records = fixture.audit.records();
        let by = |party: Option<&str>| party == Some("fixture");
        records.iter().filter(|r| r.event == AuditEvent::Serve && by(r.component.as_deref())).count()
    };
    fixture.catalog().await;
    assert_eq!(served(), 0, "there were no keys yet");
    for (count, name) in [(1, "AAAA"), (2, "BBBB")] {
        fixture.session.set_credentials(keys(name)).unwrap();
        fixture.key_and_pid().await;
        assert_eq!(served(), count);
    }
    fixture.host.shutdown().await;
}

/// Returns a server without credentials that prints a file, such as one in `/proc` or in a home folder.
fn server_showing_file(file: &std::path::Path) -> ServerConfig {
    let mut server = ServerConfig::new("sh");
    server.args = ["-c", &format!("echo shows; cat {0}; cat {0} >&2; exit 3", file.display())]
        .map(str::to_owned)
        .to_vec();
    server.delivery = Delivery::None;
    server
}

fn non_expiring(canary: &Canary) -> valetkey_core::Credentials {
    canary.credentials(Expiry::Never).unwrap()
}

#[tokio::test]
async fn stderr_with_keys_of_other_accounts_is_masked() {
    let canaries: [Canary; 6] = std::array::from_fn(|_| Canary::new());
    let [environment, fetched, other, source, narrowed, before] = &canaries;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("environ");
    let all: Vec<String> = canaries.iter().map(|canary| canary.to_json().to_string()).collect();
    fs::write(&file, all.join(" ")).unwrap();

    let variables = environment.to_json();
    let variables = [("AWS_SECRET_ACCESS_KEY", "secret_access_key"), ("AWS_SESSION_TOKEN", "session_token")]
        .map(|(name, field)| (name.into(), variables[field].as_str().unwrap().into()));
    let path = ("PATH".into(), std::env::var_os("PATH").unwrap());
    let variables = HostEnvironment::new(variables.into_iter().chain([path]));
    let session = valetkey_core::SessionContext::builder().build();
    session.set_credentials(non_expiring(before)).unwrap();
    let config = crate::host_fixture::mcp_config([("shows", server_showing_file(&file))]);
    let host = valetkey_mcp::McpHost::builder(&session, config).environment(variables).start().await.unwrap();

    let provider = |canary| ScriptedProvider::new([Script::Answer(non_expiring(canary))]);
    session.for_account(&"fetched".parse().unwrap()).set_provider(provider(fetched)).unwrap();
    session.for_account(&"fetched".parse().unwrap()).credentials().await.unwrap();
    session
        .for_account(&"other".parse::<AccountName>().unwrap())
        .set_credentials(non_expiring(other))
        .unwrap();
    ObservedProvider::new(Arc::new(provider(source)), &session.observers()).provide().await.unwrap();
    let child = session.narrow(AccessScope::new()).unwrap();
    let own = session.with_credentials(non_expiring(narrowed)).unwrap();
    child.credentials().await.unwrap();

    let raw = fs::read_to_string(&file).unwrap();
    let message = host.all_tools().await.errors[0].error.to_string();
    assert_masks_are_whole(&message);
    for (n, canary) in canaries.iter().enumerate() {
        assert_eq!(canary.found_in(&raw), ["secret", "token", "access_key_id"]);
        assert!(!canary.found_in(&message).iter().any(|part| *part != "access_key_id"), "{n}: {message}");
    }
    drop(own);
    host.shutdown().await;
}
