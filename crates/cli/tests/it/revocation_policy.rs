//! `valetkey revocation-policy`, and the report of `exec` on issued credentials.

use serde_json::Value;

use crate::aws_fixture::AwsFixture;
use crate::exec::fixture_with_keys;
use crate::program_fixture::{ProgramFixture, ProgramOutput};

const SESSION_ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";
const ISSUED_BEFORE: [&str; 2] = ["--issued-before", "2026-11-21T13:00:00+01:00"];

async fn run_revocation_policy(args: &[&str]) -> ProgramOutput {
    ProgramFixture::new().run(&[&["revocation-policy"], args].concat()).await
}

fn policy_conditions(output: &ProgramOutput) -> Vec<Value> {
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let policy: Value = serde_json::from_str(&output.stdout).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    for statement in statements {
        assert_eq!(
            (&statement["Effect"], &statement["Action"], &statement["Resource"]),
            (&Value::from("Deny"), &Value::from("*"), &Value::from("*"))
        );
        assert_eq!(statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"], "2026-11-21T12:00:01Z");
    }
    statements.iter().map(|statement| statement["Condition"].clone()).collect()
}

#[tokio::test]
async fn revocation_policy_prints_policy_and_its_target() {
    let session = run_revocation_policy(&[&["--session", SESSION_ID][..], &ISSUED_BEFORE].concat()).await;
    let conditions = policy_conditions(&session);
    assert_eq!(conditions[0]["StringEquals"]["aws:PrincipalTag/valetkey:session"], SESSION_ID);
    assert_eq!(conditions[1]["StringLike"]["aws:userid"][0], format!("*:*{SESSION_ID}*"));
    assert!(session.stderr.contains("denies: the credentials of this session"), "{}", session.stderr);

    let named = run_revocation_policy(&[&["--session-name", "agent-7"][..], &ISSUED_BEFORE].concat()).await;
    assert_eq!(policy_conditions(&named)[0]["StringLike"]["aws:userid"], "*:agent-7");
    assert!(named.stderr.contains("of all users"), "{}", named.stderr);

    let all = run_revocation_policy(&[&["--all"][..], &ISSUED_BEFORE].concat()).await;
    assert_eq!(policy_conditions(&all)[0].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn revocation_policy_missing_or_two_targets_fails() {
    for (args, code) in [
        (&[][..], 2),
        (&["--all", "--session", SESSION_ID], 2),
        (&["--session", "canary"], 2),
        (&["--all", "--issued-before", "canary"], 2),
        (&["--session-name", "canary*"], 78),
    ] {
        let output = run_revocation_policy(args).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(code), ""), "{args:?}: {}", output.stderr);
    }
}

const ROLE_SETTINGS: &str = "\
[accounts.keys]
provider = 'environment'
[accounts.role]
provider = 'assume-role'
source = 'keys'
role_arn = 'arn:aws:iam::111111111111:role/agent'
";

#[tokio::test]
async fn exec_ended_logs_expiry_of_issued_credentials() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_keys().env("AWS_ENDPOINT_URL", aws.url()).file("valetkey.toml", ROLE_SETTINGS);
    let output = fixture.run(&["exec", "--account", "role", "--", "true"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "a success is silent");
    let detailed = fixture.run(&["--log", "info", "exec", "--account", "role", "--", "true"]).await;
    let line = detailed.stderr.lines().find(|line| line.contains("account=role until=")).unwrap();
    for expected in ["INFO", "session=", "account=role", "until=2499-01-01T00:00:00Z", "revocation-policy"] {
        assert!(line.contains(expected), "{expected}: {line}");
    }
    assert!(detailed.stderr.contains("account=keys"), "{}", detailed.stderr);
}
