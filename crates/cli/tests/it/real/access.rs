//! A model requests access through the official client. Its user decides, or the operator in a terminal; AWS enforces the
//! floor and the grant.

use serde_json::{Value, json};
use valetkey_rig::{MiniStack, Script, Seed, Venv, aws_environment};

use super::{program_path, python_script, tenant_settings};
use crate::access::waiting;
use crate::program_fixture::ProgramFixture;
use crate::serve::mcp_config;

/// How a client negotiates the revision: in each era, requests reach it in another way.
const MODES: [&str; 2] = ["legacy", "auto"];

/// Beside those of the tenant.
const SETTINGS: &str = r#"
[policies.writing]
document = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}'
[scopes.look]
accounts = ["tenant"]
policy = "reading"
[scopes.write]
accounts = ["tenant"]
policy = "writing"
lifetime_seconds = 900
[access]
floor = "look"
requests = ["write"]
[audit]
file = "audit.jsonl"
"#;

struct AccessFixture {
    ministack: MiniStack,
    seed: Seed,
    program: ProgramFixture,
}

impl AccessFixture {
    /// Starts a gateway with these settings of `[ops]`.
    async fn start(ops: &str) -> Self {
        let ministack = MiniStack::start().await.unwrap();
        let seed = ministack.seed().await.unwrap();
        let buckets = json!({"command": program_path("python"), "args": [python_script("bucket_server.py")],
            "env": {"AWS_ENDPOINT_URL": ministack.url()}});
        let program = ProgramFixture::new()
            .file("mcp.json", mcp_config(json!({"buckets": buckets})))
            .file("valetkey.toml", tenant_settings(&seed.tenants[0]) + SETTINGS + ops);
        Self { ministack, seed, program }
    }

    /// Runs a client in which the user decides in this way.
    async fn run(&self, mode: &str, decision: &str) -> Value {
        let broker = &self.seed.broker;
        let config = self.program.path("mcp.json");
        let settings = self.program.path("valetkey.toml");
        let gateway = [env!("CARGO_BIN_EXE_valetkey"), "serve", "--mcp-config", config.to_str().unwrap()];
        let client = [mode, &self.seed.tenants[0].bucket, decision];
        let script = Script::python_in(Venv::Clients, python_script("access_client.py"));
        let script = client.iter().chain(&gateway).fold(script, |script, arg| script.arg(*arg));
        let output = script
            .arg("--config")
            .arg(settings)
            .envs(aws_environment(&self.ministack.url()))
            .envs([("XDG_RUNTIME_DIR", self.program.runtime_dir().to_str().unwrap())])
            .envs([
                ("AWS_ACCESS_KEY_ID", broker.access_key_id.as_str()),
                ("AWS_SECRET_ACCESS_KEY", broker.secret_access_key.as_str()),
            ])
            .run()
            .await
            .unwrap();
        serde_json::from_str(output.trim()).unwrap_or_else(|_| panic!("{output}"))
    }

    /// Returns the access events of the audit log, with their failures.
    fn events(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(self.program.path("audit.jsonl")).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_access = records.filter(|record| record["event"].as_str().unwrap().ends_with("_access"));
        of_access
            .map(|record| (record["event"].as_str().unwrap().to_owned(), record["failure"].clone()))
            .collect()
    }
}

#[tokio::test]
async fn access_granted_by_user_is_enforced_and_ends() {
    let fixture = AccessFixture::start("").await;
    for mode in MODES {
        let output = fixture.run(mode, "grant").await;
        let asked = output["asked"][0].as_str().unwrap();
        assert!(
            asked.contains("`write` for 10 min") && asked.contains(r#""to store a note\u{a}GRANT""#),
            "{asked}"
        );
        assert_eq!(
            (&output["before"], &output["granted"]),
            (&json!("AccessDenied"), &json!("done")),
            "{output:#}"
        );
        assert_eq!(output["beside"], "AccessDenied", "the grant holds for calls with its handle: {output:#}");
        assert!(output["ended"].as_str().unwrap().contains("ended"), "{output:#}");
        assert_eq!(output["after"], "AccessDenied", "{output:#}");
    }
    let events = fixture.events();
    let expected =
        ["request_access", "grant_access", "end_access"].map(|event| (event.to_owned(), Value::Null));
    assert_eq!(events, [expected.clone(), expected].concat());
    fixture.ministack.stop().await.unwrap();
}

#[tokio::test]
async fn access_granted_in_terminal_is_enforced_and_ends() {
    let fixture = AccessFixture::start("").await;
    for mode in MODES {
        // The client has no forms.
        let (output, ()) = tokio::join!(fixture.run(mode, "none"), async {
            let request = waiting(&fixture.program).await;
            let approved = fixture.program.run(&["access", "approve", request["id"].as_str().unwrap()]).await;
            assert_eq!(approved.code, Some(0), "{}", approved.stderr);
        });
        assert_eq!(
            (&output["before"], &output["granted"]),
            (&json!("AccessDenied"), &json!("done")),
            "{output:#}"
        );
        assert_eq!((&output["beside"], &output["after"]), (&json!("AccessDenied"), &json!("AccessDenied")));
    }
    fixture.ministack.stop().await.unwrap();
}

#[tokio::test]
async fn access_refused_by_user_is_not_granted() {
    let fixture = AccessFixture::start("[ops]\nsocket = false\n").await;
    for mode in MODES {
        for (decision, expected) in [
            ("decline", "person has refused"),
            ("uncheck", "person has refused"),
            ("cancel", "person has dismissed"),
            ("none", "supports elicitation"),
        ] {
            let output = fixture.run(mode, decision).await;
            assert_eq!(
                (&output["before"], &output["is_error"]),
                (&json!("AccessDenied"), &json!(true)),
                "{output:#}"
            );
            assert!(output["text"].as_str().unwrap().contains(expected), "{output:#}");
        }
    }
    let refused = fixture.events().into_iter().filter(|(event, _)| event == "refuse_access");
    let failures: Vec<_> = refused.map(|(_, failure)| failure).collect();
    let expected = ["denied", "denied", "denied", "not_configured"];
    assert_eq!(json!(failures), json!([expected, expected].concat()));
    fixture.ministack.stop().await.unwrap();
}
