//! Exchanged keys at an STS that verifies the caller: real programs act as the user, with another key.

use valetkey_rig::MiniStack;

use super::{program_path, python_script, shell_with_key};

#[tokio::test]
async fn exec_exchange_boto3_gets_temporary_credentials() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let settings = "[accounts.keys]\nprovider = 'environment'\nexchange = { duration_seconds = 900 }\n";
    let shell = shell_with_key(&ministack.url(), &seed.broker).file("valetkey.toml", settings);
    let (python, key) = (program_path("python"), python_script("key.py"));
    for (delivery, method) in [("endpoint", "container-role"), ("env", "env")] {
        let ended = shell.run(&["exec", "--delivery", delivery, "--", &python, key.to_str().unwrap()]).await;
        let arn = format!("arn:aws:iam::{}:user/broker", seed.broker_account);
        let is_temporary =
            ended.stdout.starts_with(&format!("{method} ASIA")) && ended.stdout.contains(" True ");
        assert!(is_temporary && ended.stdout.contains(&arn), "{}", ended.said());
        assert!(!ended.said().contains(&seed.broker.access_key_id), "{}", ended.said());
    }
    ministack.stop().await.unwrap();
}
