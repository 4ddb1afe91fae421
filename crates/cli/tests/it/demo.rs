//! `valetkey demo`: prints every step, and reports a failed step by its exit code.

use serde_json::Value;
use valetkey_core::testing::Canary;

use crate::aws_fixture::AwsFixture;
use crate::process::runs;
use crate::program_fixture::{CONTROL_CHARACTERS, ProgramFixture, ProgramOutput};

/// The claims of the demo, with their tenants.
const CLAIMS: [(&str, &str); 21] = [
    ("A", "a server starts and lists without credentials"),
    ("A", "a call without credentials is refused with a remedy"),
    ("A", "stack job → credential id → credentials in the session"),
    ("B", "stack job → credential id → credentials in the session"),
    ("A", "two sub-agents share the session's credentials"),
    ("B", "two sub-agents share the session's credentials"),
    ("A", "MCP tool calls act in the tenant's own account"),
    ("B", "MCP tool calls act in the tenant's own account"),
    ("A", "a rotated role reaches the running server, same pid"),
    ("B", "the other tenant's server notices nothing"),
    ("B", "asking for the other tenant's credential id is refused"),
    ("B", "the refusal costs the session nothing"),
    ("B", "a token opens its own session's endpoint and no other"),
    ("A", "the session is cleared"),
    ("A", "the server that is still running is refused"),
    ("A", "the next call is refused"),
    ("B", "the other tenant works on"),
    ("B", "closed, it is refused as well"),
    ("A", "every audit record names its own session"),
    ("B", "every audit record names its own session"),
    ("A+B", "no child process is left"),
];

pub(crate) fn parse_report(output: &ProgramOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns the steps that passed, in order.
pub(crate) fn passed_steps(report: &Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().unwrap().iter().filter(|step| step["held"] == true);
    steps.map(|step| (step["tenant"].as_str().unwrap(), step["claim"].as_str().unwrap())).collect()
}

pub(crate) fn assert_all_passed(output: &ProgramOutput) {
    assert_eq!(output.code, Some(0), "{output:?}");
    let report = parse_report(output);
    assert_eq!(report["held"], true);
    assert_eq!(passed_steps(&report), CLAIMS);
    assert_no_secrets(&output.combined_output());
    let pids = shown_pids(&output.stdout);
    assert!(!pids.is_empty() && !pids.iter().copied().any(runs), "{pids:?}");
}

/// Returns the process ids in the output.
fn shown_pids(output: &str) -> Vec<u32> {
    let words = output.split(" pid ").skip(1);
    words.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

/// Checks that no word looks like a secret access key, a session token or a whole key id. Request ids may be as long.
fn assert_no_secrets(output: &str) {
    let (first, rest) = output.split_once("(request ").unwrap_or((output, ""));
    let rest = rest.split("(request ").filter_map(|rest| rest.split_once(')'));
    let output: String = std::iter::once(first).chain(rest.map(|(_id, rest)| rest)).collect();
    for word in output.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c))) {
        let key_id = word.len() == 20 && (word.starts_with("AKIA") || word.starts_with("ASIA"));
        assert!(word.len() < 40 && !key_id, "{word}");
    }
}

#[tokio::test]
async fn demo_json_passes_every_claim() {
    let fixture = ProgramFixture::new();
    let output = fixture.run(&["demo", "--json"]).await;
    assert_all_passed(&output);
    assert_eq!(output.stderr, "");
    assert!(fixture.file_names().is_empty(), "{:?}", fixture.file_names());
}

#[tokio::test]
async fn demo_concurrent_runs_are_independent() {
    let fixture = ProgramFixture::new();
    let (one, other) = tokio::join!(fixture.run(&["demo", "--json"]), fixture.run(&["demo", "--json"]));
    assert_all_passed(&one);
    assert_all_passed(&other);
}

#[tokio::test]
async fn demo_host_identity_is_unused() {
    let fixture = ProgramFixture::new()
        .env("AWS_ACCESS_KEY_ID", "AKIACANARYCANARY0000")
        .env("AWS_SECRET_ACCESS_KEY", "canary")
        .env("AWS_PROFILE", "canary")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_REGION", "canary");
    let output = fixture.run(&["demo", "--json"]).await;
    assert_all_passed(&output);
    assert!(!output.combined_output().contains("canary"), "{}", output.combined_output());
}

#[tokio::test]
async fn demo_without_json_prints_table() {
    let output = ProgramFixture::new().run(&["demo"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let rows: Vec<&str> = output.stdout.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), CLAIMS.len(), "{}", output.stdout);
    for (row, (tenant, claim)) in rows.iter().zip(CLAIMS) {
        assert!(row.starts_with(&format!("ok   {tenant:<3} {claim}")), "{row}");
    }
    assert!(output.stdout.contains("21 steps, 0 did not hold, "), "{}", output.stdout);
    assert!(!output.stdout.contains('\x1b'), "colour without a terminal");
    assert_no_secrets(&output.combined_output());
    let coloured = ProgramFixture::new().run(&["demo", "--color", "always"]).await;
    assert!(coloured.stdout.starts_with("\x1b[32mok"), "{}", coloured.stdout);
}

#[tokio::test]
async fn demo_endpoint_ignoring_identities_fails() {
    let aws = AwsFixture::start().await;
    let output = ProgramFixture::new().run(&["demo", "--json", "--aws-endpoint", aws.url()]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let report = parse_report(&output);
    assert_eq!(report["held"], false);
    let held = passed_steps(&report);
    let broken: Vec<_> = CLAIMS.into_iter().filter(|claim| !held.contains(claim)).collect();
    let wanted = [
        ("B", "two sub-agents share the session's credentials"),
        ("B", "MCP tool calls act in the tenant's own account"),
        ("B", "asking for the other tenant's credential id is refused"),
        ("B", "the refusal costs the session nothing"),
        ("B", "the other tenant works on"),
    ];
    assert_eq!(broken, wanted, "{report:#}");
    assert_eq!(report["steps"].as_array().unwrap().len(), CLAIMS.len());

    let table = ProgramFixture::new().run(&["demo", "--aws-endpoint", aws.url()]).await;
    assert_eq!(table.code, Some(1));
    assert!(
        table.stdout.contains("\nFAIL B ") && table.stdout.contains("5 did not hold"),
        "{}",
        table.stdout
    );
}

/// Returns the control characters as XML writes them.
fn control_characters_in_xml() -> String {
    CONTROL_CHARACTERS.chars().map(|character| format!("&#{};", u32::from(character))).collect()
}

#[tokio::test]
async fn demo_control_characters_in_response_are_escaped() {
    let aws = AwsFixture::with_account(&format!("1{}", control_characters_in_xml())).await;
    let table = ProgramFixture::new().run(&["demo", "--aws-endpoint", aws.url()]).await;
    table.assert_printable();
    let escaped = r"both in 1\u{1b}[2J\u{7}\u{d}\u{9b}\u{202e} with key";
    assert!(table.stdout.contains(escaped), "{}", table.stdout);
    let document = ProgramFixture::new().run(&["demo", "--json", "--aws-endpoint", aws.url()]).await;
    document.assert_printable();
    let escaped = r"both in 1\u001b[2J\u0007\r\u009b\u202e with key";
    assert!(document.stdout.contains(escaped), "{}", document.stdout);
    let report = parse_report(&document);
    let mut steps = report["steps"].as_array().unwrap().iter();
    assert!(steps.any(|step| step["seen"].as_str().unwrap().contains(CONTROL_CHARACTERS)), "{report:#}");
}

#[tokio::test]
async fn demo_control_characters_in_error_are_escaped() {
    let aws = AwsFixture::refusing_secrets(&format!("odd{CONTROL_CHARACTERS}")).await;
    let output = ProgramFixture::new().run(&["demo", "--aws-endpoint", aws.url()]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    output.assert_printable();
    assert!(output.stderr.contains(r"odd\u{1b}[2J\u{7}\u{d}\u{9b}\u{202e}"), "{}", output.stderr);
}

#[tokio::test]
async fn demo_unreachable_endpoint_reports_one_line() {
    // Nothing listens on the discard port of loopback.
    for endpoint in ["http://127.0.0.1:9", "nonsense"] {
        let output = ProgramFixture::new().run(&["demo", "--aws-endpoint", endpoint]).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
        assert!(
            output.stderr.starts_with("error: ") && output.stderr.lines().count() == 1,
            "{}",
            output.stderr
        );
        assert_no_secrets(&output.stderr);
    }
}

#[tokio::test]
async fn demo_and_check_at_trace_print_no_secret() {
    let canary = Canary::new();
    let keys = canary.to_json();
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    let fixture = ProgramFixture::new()
        .env("VALETKEY_LOG", "trace,rmcp=trace,hyper=trace,aws_smithy_runtime=trace,aws_sdk_sts=trace")
        .env("AWS_ACCESS_KEY_ID", key("access_key_id"))
        .env("AWS_SECRET_ACCESS_KEY", key("secret_access_key"))
        .env("AWS_SESSION_TOKEN", key("session_token"))
        .file("valetkey.toml", "[accounts.here]\nprovider = 'environment'\n");
    let (demo, check) = tokio::join!(fixture.run(&["demo", "--json"]), fixture.run(&["check"]));
    assert!(demo.stderr.contains("DEBUG"), "nothing was logged: {demo:?}");
    for output in [&demo, &check] {
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(canary.found_in(&output.combined_output()), Vec::<&str>::new());
        assert_no_secrets(&output.combined_output());
    }
    // The canaries can be found: a program that receives them in its environment prints them.
    let output = fixture.run(&["exec", "--delivery", "env", "--", "env"]).await;
    assert!(canary.found_in(&output.stdout).contains(&"secret"), "{}", output.stderr);
}
