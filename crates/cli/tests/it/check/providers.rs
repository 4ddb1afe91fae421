//! Every provider of the settings: errors are reported at their lines, and valid settings resolve as expected.

use super::assert_diagnostics;
use crate::aws_fixture::AwsFixture;
use crate::exec::{KEY_ID, SECRET, fixture_with_keys};
use crate::program_fixture::ProgramFixture;

#[tokio::test]
async fn check_invalid_provider_fields_are_all_reported() {
    assert_diagnostics(
        r#"[session]
region = "us-east-1"
[accounts.keys]
provider = "environment"
[accounts.role]
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/a"
mfa_serial = "canary?"                  #! [accounts.role] `mfa_serial` must be 9 to 256
[accounts.identity]
provider = "web-identity"
role_arn = "canary"                     #! [accounts.identity] `role_arn` must be a role ARN
token_file = ""                         #! [accounts.identity] `token_file` must name the file
session_name = "{principal}"            #! [accounts.identity] `session_name` contains `{principal}`
duration_seconds = 899                  #! [accounts.identity] `duration_seconds` must be 900 to 43,200
policy = "canary"                       #! [accounts.identity] `policy` must be a JSON object
policy_arns = ["canary"]                #! [accounts.identity] `policy_arns` must be managed
region = "canary!"                     #! [accounts.identity] `region` must be 1 to 63
source = "keys"                         #! [accounts.identity] unknown field `source`
[accounts.user]
provider = "federation"
source = "keys"
mfa_serial = "canary?"                  #! [accounts.user] `mfa_serial` must be 9 to 256
duration_seconds = 129_601              #! [accounts.user] `duration_seconds` must be 900 to 129,600
policy = "{}"                           #! [accounts.user] `policy` is for a federated user; give the account a `name`
tags = { team = "a" }                   #! [accounts.user] `tags` is for a federated user
[accounts.federated]
provider = "federation"
source = "keys"
name = "canary!"                        #! [accounts.federated] `name` must be 2 to 32
mfa_serial = "arn:aws:iam::1:mfa/a"     #! [accounts.federated] `mfa_serial` must not be given together with `name`
policy = "canary"                       #! [accounts.federated] `policy` must be a JSON object
tags = { "aws:x" = "canary" }           #! [accounts.federated] `tags` must have no key that begins with
[accounts.again]
provider = "federation"
source = "role"                         #! [accounts.again] `source` leads to temporary credentials, which STS does not
[accounts.program]
provider = "process"
command = "canary 'canary"              #! [accounts.program] `command`
timeout_seconds = 5
[accounts.patient]
provider = "process"
command = "true"
timeout_seconds = 3_601                 #! [accounts.patient] `timeout_seconds` must be 1 s to 1 h
[accounts.silent]                       #! [accounts.silent] missing field `command`
provider = "process"
[accounts.profile]                      #! [accounts.profile] missing field `name`
provider = "profile"
[accounts.ambient]
provider = "ambient"
profile = "canary"                      #! [accounts.ambient] unknown field `profile`
"#,
    )
    .await;
}

#[tokio::test]
async fn check_exchange_where_unsupported_is_reported() {
    assert_diagnostics(
        r#"[session]
region = "us-east-1"
[accounts.keys]
provider = "environment"
exchange = true
[accounts.role]
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/a"
duration_seconds = 3_601                #! [accounts.role] `duration_seconds` must be at most 3,600 s for a chained
[accounts.twice]
provider = "federation"
source = "keys"                         #! [accounts.twice] `source` leads to temporary credentials
[accounts.narrow]
provider = "memory"
[accounts.narrow.exchange]
name = "canary!"                        #! [accounts.narrow.exchange] `name` must be 2 to 32
policy = "canary"                       #! [accounts.narrow.exchange] `policy` must be a JSON object
duration_seconds = 1                    #! [accounts.narrow.exchange] `duration_seconds` must be 900 to 129,600
colour = "canary"                       #! [accounts.narrow] `exchange` unknown field `colour`
[accounts.odd]
provider = "process"
command = "true"
exchange = "canary"                     #! [accounts.odd] `exchange` must be `true`, `false` or a table
[accounts.federated]
provider = "memory"
exchange = { policy = '{"Version":"2012-10-17","Statement":[]}' }
[accounts.behind]
provider = "assume-role"
source = "federated"                    #! [accounts.behind] `source` leads to a federated user, who may not assume
role_arn = "arn:aws:iam::111111111111:role/a"
"#,
    )
    .await;
    assert_diagnostics(
        "[accounts.keys]\nprovider = 'memory'\nexchange = true  #! [accounts.keys] `exchange` `region` of STS is not known",
    )
    .await;
}

const PROCESS_OUTPUT: &str =
    r#"{"Version":1,"AccessKeyId":"AKIAPRINTED00000PRNT","SecretAccessKey":"canary-printed"}"#;

fn fixture_with_every_provider() -> ProgramFixture {
    let settings = format!(
        r#"
[accounts.keys]
provider = "environment"
[accounts.identity]
provider = "web-identity"
role_arn = "arn:aws:iam::111111111111:role/agent"
token_file = "token"
session_name = "job-{{account}}"
[accounts.user]
provider = "federation"
source = "program"
duration_seconds = 900
[accounts.federated]
provider = "federation"
source = "program"
name = "alice"
policy = '{{"Version":"2012-10-17","Statement":[]}}'
[accounts.program]
provider = "process"
command = "sh -c 'echo \"$1\"' sh '{}'"
region = "eu-west-3"
timeout_seconds = 30
[accounts.profile]
provider = "profile"
name = "team"
[accounts.chain]
provider = "default-chain"
[accounts.narrow]
provider = "process"
command = "sh -c 'echo \"$1\"' sh '{}'"
exchange = {{ policy = '{{"Version":"2012-10-17","Statement":[]}}' }}
"#,
        PROCESS_OUTPUT.replace('"', "\\\""),
        PROCESS_OUTPUT.replace('"', "\\\""),
    );
    let profile =
        "[team]\naws_access_key_id = AKIAPROFILE00000PROF\naws_secret_access_key = canary-profile\n";
    let fixture = fixture_with_keys()
        .file("valetkey.toml", settings)
        .file("token", "identity-token\n")
        .file("shared", profile);
    let shared = fixture.path("shared");
    fixture.env("AWS_SHARED_CREDENTIALS_FILE", shared)
}

#[tokio::test]
async fn check_live_every_provider_resolves_without_secrets() {
    let aws = AwsFixture::start().await;
    let output =
        fixture_with_every_provider().env("AWS_ENDPOINT_URL", aws.url()).run(&["check", "--live"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{}", output.stdout);
    for expected in [
        "keys: …MPLE from environment",
        "from web-identity",
        "user: …",
        "federated: …",
        "program: …PRNT from process, account 111111111111, eu-west-3",
        "profile: …PROF from profile",
        "chain: …MPLE from default-chain",
        "narrow: …",
    ] {
        assert!(output.stdout.contains(expected), "{expected}: {}", output.stdout);
    }
    let mut calls = aws.sts_calls();
    calls.retain(|(action, _)| action != "GetCallerIdentity");
    calls.sort();
    let printed = "AKIAPRINTED00000PRNT";
    let wanted = [
        ("AssumeRoleWithWebIdentity", ""),
        ("GetFederationToken", printed),
        ("GetFederationToken", printed),
        ("GetSessionToken", printed),
    ];
    assert_eq!(calls, wanted.map(|(action, key)| (action.to_owned(), key.to_owned())));
    assert!(!output.stdout.contains("canary") && !output.stdout.contains(SECRET), "{}", output.stdout);
}

#[tokio::test]
async fn check_live_unnamed_environment_is_not_used() {
    let settings = "[accounts.given]\nprovider = 'memory'\n";
    let output = fixture_with_keys().file("valetkey.toml", settings).run(&["check", "--live"]).await;
    assert!(
        output.stdout.contains("given: no credentials are set") && !output.stdout.contains(&KEY_ID[16..]),
        "{output:?}"
    );
}
