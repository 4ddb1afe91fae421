//! Roles of `valetkey.toml`, assumed with the keys in the fixture.

use valetkey_rig::{MiniStack, Seed};

use super::{fixture_with_key, program_path};
use crate::program_fixture::{ProgramFixture, ProgramOutput};

/// The roles of both tenants with their external ids, and that of the first tenant with a wrong one.
fn settings(seed: &Seed) -> String {
    let mut text = "[accounts.keys]\nprovider = 'environment'\n".to_owned();
    let [first, second] = seed.tenants.as_slice() else { panic!("not two tenants") };
    let roles = [
        ("first", &first.role_arn, &first.external_id),
        ("second", &second.role_arn, &second.external_id),
        ("wrong", &first.role_arn, &second.external_id),
    ];
    for (name, role, external_id) in roles {
        text += &format!(
            "[accounts.{name}]\nprovider = 'assume-role'\nsource = 'keys'\nrole_arn = '{role}'\n\
             external_id = '{external_id}'\nsession_name = 'exec-{name}'\nduration_seconds = 900\n"
        );
    }
    text + &format!(
        "[accounts.secret]\nprovider = 'secrets-manager'\nsource = 'keys'\nsecret_id = '{}'\n",
        first.secret_id
    )
}

async fn call_caller_identity(fixture: &ProgramFixture, account: &str, delivery: &str) -> ProgramOutput {
    let aws = program_path("aws");
    let options = ["exec", "--account", account, "--delivery", delivery];
    fixture.run(&[&options[..], &["--", &aws, "sts", "get-caller-identity"]].concat()).await
}

#[tokio::test]
async fn exec_each_account_acts_as_its_tenant() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let fixture = fixture_with_key(&ministack.url(), &seed.broker).file("valetkey.toml", settings(&seed));
    let output = fixture.run(&["check"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let live = fixture.run(&["check", "--live"]).await;
    assert_eq!(live.code, Some(1), "one external id is wrong");
    for line in ["first: …", "second: …", "secret: …", "keys: …"] {
        assert!(live.stdout.contains(line), "{}", live.stdout);
    }
    assert!(live.stderr.contains("wrong: assume-role: "), "{}", live.stderr);
    let role = |tenant: usize, name: &str| {
        format!("arn:aws:sts::{}:assumed-role/agent/exec-{name}", seed.tenants[tenant].account)
    };
    let wanted = [
        ("first", role(0, "first")),
        ("second", role(1, "second")),
        ("secret", format!("arn:aws:iam::{}:user/service", seed.tenants[0].account)),
        ("keys", format!("arn:aws:iam::{}:user/broker", seed.broker_account)),
    ];
    for delivery in ["endpoint", "env"] {
        for (account, arn) in &wanted {
            let output = call_caller_identity(&fixture, account, delivery).await;
            assert_eq!(output.code, Some(0), "{account} {delivery}: {}", output.stderr);
            assert!(output.stdout.contains(&format!("\"{arn}\"")), "{account} {delivery}: {}", output.stdout);
        }
    }
    ministack.stop().await.unwrap();
}

/// `credential_process` makes the account a profile for any AWS tool, here the AWS CLI.
#[tokio::test]
async fn credential_process_profile_acts_as_its_tenant() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let fixture = fixture_with_key(&ministack.url(), &seed.broker).file("valetkey.toml", settings(&seed));
    let process = format!("{} credential-process --account first", env!("CARGO_BIN_EXE_valetkey"));
    let fixture = fixture.file("aws-config", format!("[profile tenant]\ncredential_process = {process}\n"));
    let config = fixture.path("aws-config");
    let fixture = fixture.env("AWS_CONFIG_FILE", config);
    let output = fixture
        .run_program(&program_path("aws"), &["--profile", "tenant", "sts", "get-caller-identity"])
        .await;
    let role = format!("arn:aws:sts::{}:assumed-role/agent/exec-first", seed.tenants[0].account);
    assert!(output.stdout.contains(&role), "{}", output.combined_output());
    ministack.stop().await.unwrap();
}

/// Returns the session of the only audit log in the folder, and the name of the role session at the peer.
async fn audited_session_and_role_session_name(fixture: &ProgramFixture) -> (String, String) {
    let output = call_caller_identity(fixture, "first", "endpoint").await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let arn = output.stdout.split('"').find(|text| text.contains(":assumed-role/")).unwrap();
    let log = std::fs::read_to_string(fixture.path("audit.jsonl")).unwrap();
    std::fs::remove_file(fixture.path("audit.jsonl")).unwrap();
    let mut sessions: Vec<_> = log.lines().filter_map(|line| line.split("\"session\":\"").nth(1)).collect();
    sessions.iter_mut().for_each(|rest| *rest = &rest[..36]);
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "{log}");
    (sessions[0].to_owned(), arn.rsplit_once('/').unwrap().1.to_owned())
}

/// By default, the role session name in CloudTrail identifies the audit log of the run.
#[tokio::test]
async fn role_session_name_contains_audited_session_id() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let named = settings(&seed) + "[audit]\nfile = 'audit.jsonl'\n";
    let unnamed = named.replace("session_name = 'exec-first'\n", "");
    let with_attribution =
        |setting: &str| format!("[session]\nprincipal = 'alice'\nattribution = '{setting}'\n{unnamed}");
    for (file, ours) in
        [(unnamed.clone(), true), (with_attribution("tags"), true), (with_attribution("none"), false)]
    {
        let fixture = fixture_with_key(&ministack.url(), &seed.broker).file("valetkey.toml", file);
        let (session, name) = audited_session_and_role_session_name(&fixture).await;
        assert_eq!(name == format!("valetkey-{session}"), ours, "{name}");
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn exec_wrong_external_id_fails_and_runs_nothing() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let fixture = fixture_with_key(&ministack.url(), &seed.broker).file("valetkey.toml", settings(&seed));
    let output = fixture.run(&["exec", "--account", "wrong", "--", "touch", "ran"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
    assert!(
        output.stderr.contains("AccessDenied") && output.stderr.contains("assume-role"),
        "{}",
        output.stderr
    );
    for secret in [&seed.broker.secret_access_key, &seed.tenants[1].external_id] {
        assert!(!output.stderr.contains(secret.as_str()), "{}", output.stderr);
    }
    assert!(!fixture.path("ran").exists());
    ministack.stop().await.unwrap();
}
