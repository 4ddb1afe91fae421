//! `check --json`: the report for programs.

use serde_json::{Value, json};

use crate::aws_fixture::AwsFixture;
use crate::exec::fixture_with_keys;
use crate::program_fixture::{ProgramFixture, ProgramOutput};

fn report(output: &ProgramOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn check_json_valid_files_reports_warnings() {
    let fixture = ProgramFixture::new().file("valetkey.toml", "[accounts.a]\nprovider = 'memory'\n").file(
        "mcp.json",
        "{\"mcpServers\": {\"r\": {\"url\": \"https://x\", \"trust\": true},\n\"s\": {\"command\": \"true\"}}}",
    );
    let output = fixture.run(&["check", "--json", "--mcp-config", "mcp.json"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let report = report(&output);
    assert_eq!(
        (&report["ok"], &report["accounts"], &report["servers"]),
        (&json!(true), &json!(1), &json!(2))
    );
    assert_eq!((&report["errors"], &report["live"]), (&json!([]), &json!([])));
    let warning = &report["warnings"][0];
    assert_eq!((&warning["file"], &warning["line"]), (&json!("mcp.json"), &json!(1)));
    assert!(warning["message"].as_str().unwrap().contains("`trust` is about the client"), "{warning}");
}

#[tokio::test]
async fn check_json_errors_have_file_and_line() {
    let text = "[accounts.a]\nprovider = 'memry'\nregion = 'canary!'\n";
    let output = ProgramFixture::new().file("valetkey.toml", text).run(&["check", "--json"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(78), ""));
    assert!(!output.stdout.contains("canary"), "{}", output.stdout);
    let report = report(&output);
    assert_eq!(report["ok"], false);
    let error = &report["errors"][0];
    assert_eq!((&error["file"], &error["line"]), (&json!("valetkey.toml"), &json!(2)));
    assert!(error["message"].as_str().unwrap().contains("did you mean `memory`?"), "{error}");
}

#[tokio::test]
async fn check_json_live_reports_each_account() {
    let aws = AwsFixture::start().await;
    let text = "[session]\nregion = 'eu-central-1'\n[accounts.given]\nprovider = 'memory'\n[accounts.keys]\nprovider = \
                'environment'\n[accounts.role]\nprovider = 'assume-role'\nsource = 'given'\nrole_arn = \
                'arn:aws:iam::111111111111:role/agent'\n";
    let fixture = fixture_with_keys().env("AWS_ENDPOINT_URL", aws.url()).file("valetkey.toml", text);
    let output = fixture.run(&["check", "--json", "--live"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""));
    let report = report(&output);
    assert_eq!((&report["ok"], &report["errors"]), (&json!(false), &json!([])));
    let live: Vec<_> = report["live"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["account"].as_str().unwrap(), result["status"].as_str().unwrap()))
        .collect();
    assert_eq!(live, [("given", "unset"), ("keys", "valid"), ("role", "failed")]);
}
