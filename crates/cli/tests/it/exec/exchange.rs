//! `exchange`: the program gets the exchanged credentials, in both deliveries.

use super::KEY_ID;
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = "[accounts.keys]\nprovider = 'environment'\nexchange = true\n";

/// A fixture with long-lived keys.
fn fixture_with_long_lived_keys(aws: &AwsFixture) -> ProgramFixture {
    let fixture =
        ProgramFixture::new().env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", super::SECRET);
    fixture
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL", aws.url())
        .file("valetkey.toml", SETTINGS)
}

#[tokio::test]
async fn exec_exchange_long_lived_key_never_reaches_program() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_long_lived_keys(&aws);
    let output = fixture.run(&["exec", "--delivery", "env", "--", "env"]).await;
    assert!(output.stdout.contains("AWS_ACCESS_KEY_ID=ASIA"), "{}", output.combined_output());
    assert!(output.stdout.contains("AWS_REGION=eu-central-1"), "{}", output.stdout);
    assert!(
        !output.combined_output().contains(KEY_ID) && !output.combined_output().contains(super::SECRET),
        "{}",
        output.combined_output()
    );
    assert_eq!(aws.sts_calls(), [("GetSessionToken".to_owned(), KEY_ID.to_owned())]);

    let output = fixture.run(&["credential-process"]).await;
    assert!(
        output.stdout.contains("ASIA") && !output.stdout.contains(KEY_ID),
        "{}",
        output.combined_output()
    );
}

#[tokio::test]
async fn exec_exchange_temporary_credentials_pass_unchanged() {
    let aws = AwsFixture::start().await;
    let temporary = KEY_ID.replacen("AKIA", "ASIA", 1);
    let fixture = fixture_with_long_lived_keys(&aws).env("AWS_SESSION_TOKEN", super::TOKEN);
    let output =
        fixture.env("AWS_ACCESS_KEY_ID", &temporary).run(&["exec", "--delivery", "env", "--", "env"]).await;
    assert!(
        output.stdout.contains(&format!("AWS_ACCESS_KEY_ID={temporary}")),
        "{}",
        output.combined_output()
    );
    assert_eq!(aws.sts_calls(), []);
}
