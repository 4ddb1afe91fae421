//! Real programs under `valetkey exec`.

use valetkey_rig::{MiniStack, Moto};

use super::{fixture_with_key, program_path, python_script, unknown_key};
use crate::program_fixture::{ProgramFixture, ProgramOutput};

const DELIVERIES: [&str; 3] = ["endpoint", "env", "proxy"];

/// Runs `aws sts get-caller-identity` under `exec`.
async fn call_caller_identity(fixture: &ProgramFixture, delivery: &str) -> ProgramOutput {
    let aws = program_path("aws");
    fixture.run(&["exec", "--delivery", delivery, "--", &aws, "sts", "get-caller-identity"]).await
}

#[tokio::test]
async fn exec_aws_cli_on_moto_works_in_each_delivery() {
    let moto = Moto::start().await.unwrap();
    for delivery in DELIVERIES {
        let output = call_caller_identity(&fixture_with_key(&moto.url(), &unknown_key()), delivery).await;
        assert_eq!(output.code, Some(0), "{delivery}: {}", output.stderr);
        assert!(output.stdout.contains("arn:aws:sts::123456789012:user/moto"), "{delivery}: {output:?}");
    }
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn exec_aws_cli_on_ministack_works_in_each_delivery() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    for delivery in DELIVERIES {
        let output = call_caller_identity(&fixture_with_key(&ministack.url(), &seed.broker), delivery).await;
        assert_eq!(output.code, Some(0), "{delivery}: {}", output.stderr);
        let arn = format!("arn:aws:iam::{}:user/broker", seed.broker_account);
        assert!(output.stdout.contains(&arn), "{delivery}: {output:?}");

        // The error of the CLI, with its own exit code.
        let refused =
            call_caller_identity(&fixture_with_key(&ministack.url(), &unknown_key()), delivery).await;
        assert_eq!(refused.code, Some(255), "{delivery}: {refused:?}");
        assert!(refused.stderr.contains("InvalidClientTokenId"), "{delivery}: {refused:?}");
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn exec_boto3_reads_credentials_from_each_delivery() {
    let moto = Moto::start().await.unwrap();
    let (python, source) = (program_path("python"), python_script("source.py"));
    let source = source.to_str().unwrap();
    let fixture = fixture_with_key(&moto.url(), &unknown_key());
    for (delivery, method) in [("endpoint", "container-role"), ("env", "env"), ("proxy", "env")] {
        let output = fixture.run(&["exec", "--delivery", delivery, "--", &python, source]).await;
        let wanted = format!("{method} arn:aws:sts::123456789012:user/moto us-east-1\n");
        assert_eq!((output.code, output.stdout), (Some(0), wanted), "{}", output.stderr);
    }
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn exec_program_naming_default_profile_has_credentials() {
    let moto = Moto::start().await.unwrap();
    let aws = program_path("aws");
    for delivery in DELIVERIES {
        let fixture = fixture_with_key(&moto.url(), &unknown_key());
        let command = ["--", &aws, "--profile", "default", "sts", "get-caller-identity"];
        let output = fixture.run(&[&["exec", "--delivery", delivery][..], &command].concat()).await;
        assert_eq!(output.code, Some(0), "{delivery}: {}", output.stderr);
        assert!(output.stdout.contains("arn:aws:sts::123456789012:user/moto"), "{delivery}: {output:?}");
    }
    moto.stop().await.unwrap();
}
