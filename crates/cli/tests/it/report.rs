//! `valetkey report`: an audit file as a table, as JSON and as Markdown.

use serde_json::{Value, json};
use valetkey_core::testing::Canary;

use crate::program_fixture::ProgramFixture;

const AUDIT: &str = r#"{"id":"1","at":"2026-11-28T12:00:00Z","session":"aa11","principal":"alice","event":"issue","account":"dev","component":"assume role","key_suffix":"MPLE","expires_at":"2026-11-28T13:00:00Z","generation":1,"failure":null}
{"id":"2","at":"2026-11-28T12:00:01Z","session":"aa11","principal":"alice","event":"narrow","narrow":{"child":"bb22","accounts":["dev"],"policy":"c0ffee","expires_at":null}}
{"id":"3","at":"2026-11-28T12:00:02Z","session":"bb22","principal":"alice","event":"request","account":"dev","component":"s3 server","key_suffix":"MPLE","expires_at":null,"generation":null,"failure":null,"request":{"service":"s3","operation":"GetObject","region":"eu-west-1","status":200,"request_id":"R1","duration_ms":12,"request_bytes":0,"response_bytes":2048,"complete":true}}
{"id":"4","at":"2026-11-28T12:00:03Z","session":"bb22","principal":"alice","event":"request","account":"dev","component":"s3 server","key_suffix":"MPLE","expires_at":null,"generation":null,"failure":null,"request":{"service":"s3","operation":"GetObject","region":"eu-west-1","status":403,"request_id":"R2","duration_ms":9,"request_bytes":0,"response_bytes":100,"complete":true}}
{"id":"5","at":"2026-11-28T12:00:0
{"id":"6","at":"2026-11-28T12:00:04Z","session":"aa11","principal":"alice","event":"close","account":null,"component":null,"key_suffix":null,"expires_at":"2026-11-28T13:00:00Z","generation":null,"failure":null}
{"id":"7","at":"2026-11-28T12:00:05Z","session":"cc33","principal":null,"event":"deny","account":"dev","component":"evil\u001b[31m|`x`","key_suffix":null,"expires_at":null,"generation":null,"failure":"denied"}
"#;

fn fixture() -> ProgramFixture {
    ProgramFixture::new().file("audit.jsonl", AUDIT)
}

#[tokio::test]
async fn report_prints_table_of_each_session() {
    let output = fixture().run(&["report", "audit.jsonl"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(output.stderr, "audit.jsonl: no audit record in line 5\n");
    let expected = "\
session aa11 of alice
first record at 2026-11-28T12:00:00Z; closed at 2026-11-28T12:00:04Z; AWS accepts its last credentials until 2026-11-28T13:00:00Z
EVENT   ACCOUNT  COMPONENT    TARGET                             COUNT  FAILED  LAST                  DETAILS
issue   dev      assume role  -                                  1      0       2026-11-28T12:00:00Z  key …MPLE until 2026-11-28T13:00:00Z
narrow  -        -            session bb22 (dev, policy c0ffee)  1      0       2026-11-28T12:00:01Z
close   -        -            -                                  1      0       2026-11-28T12:00:04Z

session bb22 of alice, narrowed from aa11
first record at 2026-11-28T12:00:02Z; last record at 2026-11-28T12:00:03Z, not closed
EVENT    ACCOUNT  COMPONENT  TARGET                  COUNT  FAILED  LAST                  DETAILS
request  dev      s3 server  s3:GetObject eu-west-1  2      1       2026-11-28T12:00:03Z  403: 1; 0 bytes sent, 2148 received

session cc33
first record at 2026-11-28T12:00:05Z; last record at 2026-11-28T12:00:05Z, not closed
EVENT  ACCOUNT  COMPONENT           TARGET  COUNT  FAILED  LAST                  DETAILS
deny   dev      evil\\u{1b}[31m|`x`  -       1      1       2026-11-28T12:00:05Z  denied: 1
";
    assert_eq!(output.stdout, expected);
}

#[tokio::test]
async fn report_of_session_includes_narrowed_ones() {
    let output = fixture().run(&["report", "--session", "aa", "--json", "audit.jsonl"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    let ids: Vec<_> =
        report["sessions"].as_array().unwrap().iter().map(|session| &session["session"]).collect();
    assert_eq!(ids, ["aa11", "bb22"]);
    let request = &report["sessions"][1]["activities"][0];
    assert_eq!(request["failures"], json!({"403": 1}));
    assert_eq!((&request["count"], &request["response_bytes"]), (&json!(2), &json!(2148)));
    assert_eq!(report["skipped_lines"], json!([5]));
    let unknown = fixture().run(&["report", "--session", "zz", "audit.jsonl"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    assert!(unknown.stderr.contains("leave `--session` out"), "{}", unknown.stderr);
}

#[tokio::test]
async fn report_as_markdown_escapes_texts_of_records() {
    let output = fixture().run(&["report", "--markdown", "--session", "cc", "audit.jsonl"]).await;
    assert!(output.stdout.starts_with("## session cc33\n\n"), "{}", output.stdout);
    assert!(output.stdout.contains(r"\|\`x\`"), "{}", output.stdout);
    let mut html = String::new();
    let parser = pulldown_cmark::Parser::new_ext(&output.stdout, pulldown_cmark::Options::ENABLE_TABLES);
    for event in parser {
        if let pulldown_cmark::Event::Text(text) = event {
            html.push_str(&text);
        }
    }
    assert!(html.contains("|`x`"), "{html}");
}

#[tokio::test]
async fn report_without_file_reads_that_of_settings() {
    let settings = fixture().file("valetkey.toml", "[audit]\nfile = 'audit.jsonl'\n");
    let output = settings.run(&["report"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.starts_with("session aa11 of alice\n"), "{}", output.stdout);
    let without = ProgramFixture::new().file("valetkey.toml", "").run(&["report"]).await;
    assert_eq!(without.code, Some(2), "{}", without.stderr);
    let missing = ProgramFixture::new().run(&["report", "missing.jsonl"]).await;
    assert_eq!(missing.code, Some(1), "{}", missing.stderr);
}

#[tokio::test]
async fn report_does_not_print_content_of_damaged_lines() {
    let canary = Canary::new();
    let lines = format!("{}\n{{\"at\": \"{}\"\n", canary.to_json(), canary.expose_secret());
    for form in ["--json", "--markdown"] {
        let output =
            ProgramFixture::new().file("audit.jsonl", &lines).run(&["report", form, "audit.jsonl"]).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(canary.found_in(&output.combined_output()).is_empty(), "{}", output.combined_output());
    }
}
