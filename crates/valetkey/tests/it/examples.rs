//! Each example exits with success, prints the expected output and prints no secret.

use std::path::PathBuf;
use std::process::{Command, Output};

use valetkey_local_aws::{LocalAws, RoleSpec, UserSpec};

/// A part of every secret in the examples.
const SECRET: &str = "demo-secret";

#[test]
fn isolation_example_shows_only_global_context_crossing() {
    let shown = run_example("isolation", include_str!("../../examples/isolation.rs"));
    for row in [
        "its own user's credentials                   4                39",
        "ANOTHER USER'S credentials                  28                 0",
        "none: another user cleared them              7                 0",
        "global context: crossed, as it must",
        "sessions: held",
    ] {
        assert!(shown.contains(row), "{row:?} is not in:\n{shown}");
    }
}

#[test]
fn aws_sdk_client_example_follows_rotation_and_clear() {
    let shown = run_example("aws_sdk_client", include_str!("../../examples/aws_sdk_client.rs"));
    let expected = [
        "the client acts as arn:aws:sts::111111111111:assumed-role/agent/orders-agent",
        "the role was assumed again, new key: true; the same client continues",
        "after clearing: this session was cleared",
    ];
    assert_in_order(&shown, &expected);
}

#[test]
fn multi_account_example_keeps_accounts_apart() {
    let shown = run_example("multi_account", include_str!("../../examples/multi_account.rs"));
    let expected = [
        "prod: arn:aws:sts::111111111111:assumed-role/agent/deployment-agent",
        "staging: arn:aws:sts::222222222222:assumed-role/agent/deployment-agent",
        "prod is used in eu-central-1, the default",
        "staging is used in us-east-1",
        "billing: this session has no account of that name; use one of: prod, staging",
        "prod is cleared: true; staging is still served: true",
    ];
    assert_in_order(&shown, &expected);
}

#[test]
fn sub_agent_narrowing_example_is_enforced_by_aws() {
    let shown = run_example("sub_agent_narrowing", include_str!("../../examples/sub_agent_narrowing.rs"));
    let expected = [
        "the session: DescribeSecret allowed, GetSecretValue allowed",
        "the sub-agent: DescribeSecret allowed, GetSecretValue AccessDeniedException",
        "a wider policy: DescribeSecret allowed, GetSecretValue AccessDeniedException",
        "after the session: the session is closed",
    ];
    assert_in_order(&shown, &expected);
}

#[test]
fn custom_backend_example_passes_contract() {
    let shown = run_example("custom_backend", include_str!("../../examples/custom_backend.rs"));
    let expected = [
        "aws/orders: 0 violations of the contract",
        "aws/forbidden: 0 violations of the contract",
        "aws/sealed: 0 violations of the contract",
        "three reads, 1 lease",
        "denied: vault: the lease was refused",
    ];
    assert_in_order(&shown, &expected);
}

#[test]
fn axum_service_example_acts_for_each_caller() {
    let shown = run_example("axum_service", include_str!("../../examples/axum_service.rs"));
    let expected = [
        "alice: 200 OK, AWS account 111111111111",
        "bob: 200 OK, AWS account 222222222222",
        "eve: 401 Unauthorized, unknown caller",
    ];
    assert_in_order(&shown, &expected);
}

#[test]
fn ecs_troubleshooter_example_repairs_both_services() {
    let shown = run_example("ecs_troubleshooter", include_str!("../../examples/ecs_troubleshooter.rs"));
    for (user, account, key) in [("alice", "111111111111", "AAAA"), ("bob", "222222222222", "BBBB")] {
        let broken = format!("{account}: orders:1.4.1-typo, 0 of 3 tasks run, CannotPullContainerError");
        let repaired = format!("{account}: orders:1.4.2, 3 of 3 tasks run");
        let expected = [
            &format!(
                "prepare: extract_and_set_credentials_from_stack_job → Successfully extracted and set AWS \
                      credentials: {user} in region us-east-1, access key ending in {key}"
            ),
            &format!("identifier: describe_service → {broken}"),
            "identifier: set_service_context_info → Successfully set service context for: orders-api",
            "triage: get_service_context_info → {\"service_id\":\"orders-api\",\"cluster\":\"prod\"}",
            &format!("triage: describe_service → {broken}"),
            &format!("fix: update_service → {repaired}"),
            &format!("verification: describe_service → {repaired}"),
        ];
        assert_in_order(&shown, &expected.map(|line| format!("{user} {line}")));
    }
}

#[test]
fn full_flow_example_prints_each_step_in_order() {
    let shown = run_example("full_flow", include_str!("../../examples/full_flow.rs"));
    let expected = [
        "aws-cred-42 in region eu-central-1, access key ending in 0042",
        "Error: No credentials of this session are kept under that id",
        "\"key_suffix\":\"0042\"",
        "logs: …0042",
        "orders-api",
        "before: …0001",
        "after: …0002",
        "in the child: …0007",
        "everywhere else: …0042",
        "Successfully cleared all credentials and context from memory",
        "a handle that was kept: the session is closed",
        "Deny",
        "Clear",
        "Close",
    ];
    assert_in_order(&shown, &expected);
}

/// Asserts that the output contains these texts, one after another.
fn assert_in_order(shown: &str, expected: &[impl AsRef<str>]) {
    let mut rest = shown;
    for expected in expected.iter().map(AsRef::as_ref) {
        let at = rest.find(expected);
        rest = at
            .map(|at| &rest[at..])
            .unwrap_or_else(|| panic!("{expected:?} is not, or not in order, in:\n{shown}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_start_example_is_page_and_acts_as_role() {
    let page = include_str!("../../../../docs/quick-start/rust.md");
    let code = page.split("```rust,no_run\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(include_str!("../../examples/quick_start.rs").ends_with(code), "copy the code of the page");
    let (key, secret) = ("AKIAQUICKSTART000001", "demo-secret-of-the-reader");
    let aws = LocalAws::builder()
        .user(UserSpec::new("999999999999", "reader", key, secret))
        .role(RoleSpec::new("arn:aws:iam::111111111111:role/agent").trusts("999999999999"));
    let aws = aws.start().await.unwrap();
    let mut example = Command::new(example_binary("quick_start"));
    example.env_clear().env("AWS_ENDPOINT_URL", aws.endpoint_url()).env("AWS_REGION", "eu-central-1");
    example.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    let shown = checked_output("quick_start", &example.output().unwrap());
    assert!(page.contains(&format!("$ cargo run\n{shown}```")), "{shown}");
    aws.stop().await.unwrap();
}

/// Runs an example, checks that it succeeds, and returns its output.
fn run_example(name: &str, source: &str) -> String {
    assert!(source.contains(SECRET), "{name} makes no secret that could be looked for");
    checked_output(name, &Command::new(example_binary(name)).output().unwrap())
}

/// Checks that an example succeeded and printed no secret, and returns its output.
fn checked_output(name: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{name} ended with {}:\n{said}\n{complained}", output.status);
    assert!(
        !said.contains(SECRET) && !complained.contains(SECRET),
        "{name} shows a secret:\n{said}\n{complained}"
    );
    said
}

/// Returns the path of an example, which Cargo builds next to the folder of this test.
fn example_binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let binary = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let remedy =
        "run `cargo build -p valetkey --examples --all-features` first; `cargo test` without `--test` does";
    assert!(binary.exists(), "{name} is not built: {remedy}");
    binary
}
