//! Tests of the providers: each alone with a recorded HTTP client, and all of them with real peers (`real`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod ambient;
mod assume_role;
mod attribution;
mod caller_identity;
mod canary;
mod clear_cache;
mod client_config;
mod contract;
mod env;
mod error_codes;
mod federation;
mod http_fixture;
mod limits;
mod loopback_fixture;
mod memory;
mod mfa;
mod narrow;
mod process;
mod proxy;
mod real;
mod retry_quota;
mod scoped;
mod sdk;
mod sdk_session;
mod secrets_manager;
mod sts_faults;
mod truncated_responses;
mod web_identity;

use std::process::{Command, Output};
use std::sync::{Arc, Once};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use tracing::subscriber::DefaultGuard;
use valetkey_backends::{AwsClientConfig, MemoryProvider};
use valetkey_core::testing::CapturedLogs;
use valetkey_core::{AccessKeyId, CredentialProvider, Credentials, Region, SecretString, SessionPolicy};

/// Runs one ignored test in a child process whose environment is `variables`, because all tests of this process share
/// its environment.
fn run_in_child_process(test: &str, variables: &[(&str, &str)]) {
    let output = child_process(test).env_clear().envs(variables.iter().copied()).output().unwrap();
    assert_ran_one_test(&output);
}

/// Returns the command that runs one ignored test of this binary in a child process.
fn child_process(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored"]);
    command
}

/// Asserts that the child process ran exactly one test: a filter without a match runs none, and succeeds.
fn assert_ran_one_test(output: &Output) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(
        stdout.contains("\nrunning 1 test\n") && stdout.contains(" 1 passed; 0 failed; 0 ignored;"),
        "{stdout}"
    );
}

#[test]
#[should_panic(expected = "running 0 tests")]
fn child_process_without_matching_test_is_detected() {
    run_in_child_process("no::such_test", &[]);
}

/// Captures what this thread logs at TRACE. The subscriber of the process below it discards everything; while it is
/// there, no other test can cause `tracing` to remember that a callsite has no listener.
fn capture_logs() -> (CapturedLogs, DefaultGuard) {
    static PROCESS: Once = Once::new();
    PROCESS.call_once(|| tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap());
    let logs = CapturedLogs::default();
    let guard = tracing::subscriber::set_default(logs.subscriber());
    (logs, guard)
}

const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

/// Returns the configuration with the same number of retries, a millisecond apart instead of a second.
fn with_fast_retries(base: &AwsClientConfig) -> AwsClientConfig {
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    AwsClientConfig::from(base.config().to_builder().retry_config(retries).build())
}

/// Returns long-lived credentials.
fn long_lived(key_id: &str) -> Credentials {
    let id: AccessKeyId = key_id.parse().unwrap();
    Credentials::builder(id, SecretString::from("not-a-real-secret")).build().unwrap()
}

fn memory_source(credentials: Credentials) -> Arc<dyn CredentialProvider> {
    Arc::new(MemoryProvider::from(credentials))
}

fn static_source() -> Arc<dyn CredentialProvider> {
    memory_source(long_lived(KEY_ID))
}

/// Returns a policy that allows `action` on every resource.
fn policy_allowing(action: &str) -> SessionPolicy {
    policy_json(action).parse().unwrap()
}

fn policy_json(action: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
    )
}

/// Returns long-lived credentials of the SDK.
fn sdk_credentials(key_id: &str) -> aws_credential_types::Credentials {
    aws_credential_types::Credentials::new(key_id, "not-a-real-secret", None, None, "test")
}
