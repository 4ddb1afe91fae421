//! MFA codes are prompted for on a terminal, and nowhere else.

use valetkey_rig::{Script, aws_environment};

use super::python_script;
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = "[accounts.keys]\nprovider = 'environment'\n[accounts.role]\nprovider = 'assume-role'\n\
    source = 'keys'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n\
    mfa_serial = 'arn:aws:iam::111111111111:mfa/alice'\n";
const PROMPT: &str = "MFA code of arn:aws:iam::111111111111:mfa/alice, for the account `role`: ";

/// Returns the output of a terminal on which `typed` is the reply to each prompt.
async fn run_on_terminal(aws: &AwsFixture, mode: &str, typed: &str) -> String {
    let fixture = ProgramFixture::new().file("valetkey.toml", SETTINGS);
    let config = fixture.path("valetkey.toml");
    let mut run =
        Script::new(python_script("terminal.py")).arg(mode).arg(typed).arg(env!("CARGO_BIN_EXE_valetkey"));
    for argument in
        ["exec", "--account", "role", "--delivery", "env", "--config", config.to_str().unwrap(), "--"]
    {
        run = run.arg(argument);
    }
    for argument in ["sh", "-c", "echo ran as $AWS_ACCESS_KEY_ID"] {
        run = run.arg(argument);
    }
    let keys =
        [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "not-a-real-secret")];
    run.envs(aws_environment(aws.url())).envs(keys).run().await.unwrap()
}

#[tokio::test]
async fn mfa_on_terminal_prompts_once() {
    let aws = AwsFixture::start().await;
    let output = run_on_terminal(&aws, "--terminal", "123456").await;
    assert_eq!(output.matches(PROMPT).count(), 1, "{output}");
    assert!(output.contains("ran as ASIA") && output.contains("exit 0"), "{output}");
    assert_eq!(aws.sts_calls(), [("AssumeRole".to_owned(), "AKIAIOSFODNN7EXAMPLE".to_owned())]);
}

#[tokio::test]
async fn mfa_invalid_code_or_no_terminal_fails() {
    let aws = AwsFixture::start().await;
    for (mode, typed, expected) in [
        ("--terminal", "hunter2", "the MFA code is not 6 digits"),
        ("--none", "123456", "there is no terminal to ask on"),
    ] {
        let output = run_on_terminal(&aws, mode, typed).await;
        assert!(output.contains(expected) && output.contains("exit 1"), "{output}");
        assert!(output.contains("have a person ready to read the code off the MFA device"), "{output}");
        assert!(!output.contains("ran as"), "{output}");
    }
    assert_eq!(aws.sts_calls(), []);
}
