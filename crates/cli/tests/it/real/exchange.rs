//! Exchanged keys at an STS that verifies the caller: real programs act as the user, with another key.

use valetkey_rig::MiniStack;

use super::{fixture_with_key, program_path, python_script};

#[tokio::test]
async fn exec_exchange_boto3_gets_temporary_credentials() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let settings = "[accounts.keys]\nprovider = 'environment'\nexchange = { duration_seconds = 900 }\n";
    let fixture = fixture_with_key(&ministack.url(), &seed.broker).file("valetkey.toml", settings);
    let (python, key) = (program_path("python"), python_script("key.py"));
    for (delivery, method) in [("endpoint", "container-role"), ("env", "env")] {
        let output =
            fixture.run(&["exec", "--delivery", delivery, "--", &python, key.to_str().unwrap()]).await;
        let arn = format!("arn:aws:iam::{}:user/broker", seed.broker_account);
        let is_temporary =
            output.stdout.starts_with(&format!("{method} ASIA")) && output.stdout.contains(" True ");
        assert!(is_temporary && output.stdout.contains(&arn), "{}", output.combined_output());
        assert!(
            !output.combined_output().contains(&seed.broker.access_key_id),
            "{}",
            output.combined_output()
        );
    }
    ministack.stop().await.unwrap();
}
