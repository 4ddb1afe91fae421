//! Real programs under `valetkey exec`.

use valetkey_rig::{MiniStack, Moto};

use super::{anybody, path_of, script, shell};
use crate::shell::{Ended, Shell};

const DELIVERIES: [&str; 2] = ["endpoint", "env"];

/// What the AWS CLI answers to who it is.
async fn caller(shell: &Shell, delivery: &str) -> Ended {
    let aws = path_of("aws");
    shell.run(&["exec", "--delivery", delivery, "--", &aws, "sts", "get-caller-identity"]).await
}

#[tokio::test]
async fn the_aws_cli_works_in_both_deliveries_on_moto() {
    let moto = Moto::start().await.unwrap();
    for delivery in DELIVERIES {
        let ended = caller(&shell(&moto.url(), &anybody()), delivery).await;
        assert_eq!(ended.code, Some(0), "{delivery}: {}", ended.stderr);
        assert!(ended.stdout.contains("arn:aws:sts::123456789012:user/moto"), "{delivery}: {ended:?}");
    }
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn the_aws_cli_works_in_both_deliveries_where_signatures_are_checked() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    for delivery in DELIVERIES {
        let ended = caller(&shell(&ministack.url(), &seed.broker), delivery).await;
        assert_eq!(ended.code, Some(0), "{delivery}: {}", ended.stderr);
        let arn = format!("arn:aws:iam::{}:user/broker", seed.broker_account);
        assert!(ended.stdout.contains(&arn), "{delivery}: {ended:?}");

        // The CLI's own refusal, with its own exit code.
        let refused = caller(&shell(&ministack.url(), &anybody()), delivery).await;
        assert_eq!(refused.code, Some(255), "{delivery}: {refused:?}");
        assert!(refused.stderr.contains("InvalidClientTokenId"), "{delivery}: {refused:?}");
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn boto3_takes_its_credentials_from_the_endpoint() {
    let moto = Moto::start().await.unwrap();
    let (python, source) = (path_of("python"), script("source.py"));
    let source = source.to_str().unwrap();
    let shell = shell(&moto.url(), &anybody());
    for (delivery, method) in [("endpoint", "container-role"), ("env", "env")] {
        let ended = shell.run(&["exec", "--delivery", delivery, "--", &python, source]).await;
        let wanted = format!("{method} arn:aws:sts::123456789012:user/moto us-east-1\n");
        assert_eq!((ended.code, ended.stdout), (Some(0), wanted), "{}", ended.stderr);
    }
    moto.stop().await.unwrap();
}
