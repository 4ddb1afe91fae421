//! `valetkey list`: the accounts of the settings as a table and as JSON.

use serde_json::{Value, json};

use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = "\
[session]
default_account = 'dev'
region = 'eu-central-1'
[accounts.base]
provider = 'environment'
region = 'us-west-2'
[accounts.dev]
provider = 'assume-role'
source = 'base'
role_arn = 'arn:aws:iam::111111111111:role/agent'
[accounts.other]
provider = 'memory'
[principals.alice]
accounts = ['dev']
[principals.bob]
accounts = ['other']
";

fn fixture() -> ProgramFixture {
    ProgramFixture::new().discovered_file("valetkey.toml", SETTINGS)
}

#[tokio::test]
async fn list_prints_aligned_table() {
    let output = fixture().run(&["list"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let expected = "\
ACCOUNT  PROVIDER     REGION        AWS ACCOUNT   DEFAULT
base     environment  us-west-2     -
dev      assume-role  eu-central-1  111111111111  yes
other    memory       eu-central-1  -
";
    assert_eq!(output.stdout, expected);
}

#[tokio::test]
async fn list_json_has_accounts_of_principal() {
    let output = fixture().run(&["list", "--json", "--principal", "alice"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let listed: Value = serde_json::from_str(&output.stdout).unwrap();
    let expected = json!({"accounts": [{
        "account": "dev", "provider": "assume-role", "source": "base", "region": "eu-central-1",
        "account_id": "111111111111", "default": true,
    }]});
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn list_without_or_with_invalid_settings_fails() {
    let without = ProgramFixture::new().run(&["list"]).await;
    assert_eq!((without.code, without.stdout.as_str()), (Some(2), ""));
    assert!(without.stderr.contains("there is no valetkey.toml"), "{}", without.stderr);
    let invalid = ProgramFixture::new().file("valetkey.toml", "[accounts.a]\nprovider = 'canary'\n");
    let invalid = invalid.run(&["list", "--json"]).await;
    assert_eq!((invalid.code, invalid.stdout.as_str()), (Some(78), ""));
    assert!(!invalid.stderr.contains("canary"), "{}", invalid.stderr);
}
