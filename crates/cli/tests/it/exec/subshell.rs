//! `exec` without a program, and its options for the region and the lifetime of credentials.

use super::fixture_with_keys;
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::ProgramFixture;

const ROLE: &str = "[session]\ndefault_account = 'dev'\n[accounts.base]\nprovider = 'environment'\n[accounts.dev]\n\
                    provider = 'assume-role'\nsource = 'base'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n";

/// Writes a program that prints its environment, in the place of a shell.
fn fixture_with_shell() -> ProgramFixture {
    let fixture = fixture_with_keys().file("valetkey.toml", "[accounts.keys]\nprovider = 'environment'\n");
    fixture.env("SHELL", "/usr/bin/env")
}

#[tokio::test]
async fn exec_without_program_starts_marked_shell() {
    let output = fixture_with_shell().run(&["exec"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let value = |name: &str| {
        output
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")))
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(value("VALETKEY_SESSION").len(), 36, "{}", output.stdout);
    assert_eq!(value("VALETKEY_ACCOUNT"), "keys");
    assert!(!output.stdout.contains("canary"), "{}", output.stdout);
    let program = fixture_with_shell().run(&["exec", "--", "env"]).await;
    assert!(!program.stdout.contains("VALETKEY_SESSION"), "{}", program.stdout);
}

#[tokio::test]
async fn exec_region_option_sets_region_of_program() {
    let output = fixture_with_shell().run(&["exec", "--region", "ap-south-1", "--", "env"]).await;
    for variable in ["AWS_REGION=ap-south-1", "AWS_DEFAULT_REGION=ap-south-1"] {
        assert!(output.stdout.lines().any(|line| line == variable), "{}", output.stdout);
    }
    let invalid = fixture_with_shell().run(&["exec", "--region", "Canary!", "--", "env"]).await;
    assert_eq!(invalid.code, Some(2));
    assert!(!invalid.combined_output().to_lowercase().contains("canary"), "{}", invalid.stderr);
}

#[tokio::test]
async fn exec_duration_option_requests_that_lifetime() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_keys().env("AWS_ENDPOINT_URL", aws.url()).file("valetkey.toml", ROLE);
    let output = fixture.run(&["exec", "--duration", "30m", "--", "true"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let requests = aws.sts_requests();
    assert!(requests.iter().any(|request| request.contains("DurationSeconds=1800")), "{requests:?}");

    let short = fixture.run(&["exec", "--duration", "60", "--", "true"]).await;
    assert_eq!(short.code, Some(78), "{}", short.stderr);
    assert!(short.stderr.contains("`duration` must be 900 to 43,200"), "{}", short.stderr);
    let long_lived = fixture.run(&["exec", "--account", "base", "--duration", "1h", "--", "true"]).await;
    assert_eq!(long_lived.code, Some(2));
    assert!(long_lived.stderr.contains("provider `environment`"), "{}", long_lived.stderr);
    for text in ["", "0", "h", "1d", "-1", "99999999999999999999", "9999999999999999999h"] {
        let invalid = fixture.run(&["exec", &format!("--duration={text}"), "--", "true"]).await;
        assert_eq!(invalid.code, Some(2), "{text}: {}", invalid.stderr);
    }
}

#[tokio::test]
async fn exec_misspelt_account_suggests_name() {
    let fixture = fixture_with_keys().file("valetkey.toml", ROLE.replace("dev", "production"));
    let output = fixture.run(&["exec", "--account", "prodution", "--", "true"]).await;
    assert_eq!(output.code, Some(78));
    assert_eq!(
        output.stderr,
        "error: the account of `--account` is not one of the accounts; name one of: base, production; did you mean \
         `production`?\n"
    );
}
