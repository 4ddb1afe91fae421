//! Errors in policies, and in their application to accounts.

use super::assert_diagnostics;
use crate::program_fixture::ProgramFixture;

#[tokio::test]
async fn check_invalid_policy_reports_its_line() {
    assert_diagnostics(
        r#"[policies.none]                         #! [policies.none] needs one of `document`, `file` and `read_only`
[policies.twice]                        #! [policies.twice] needs one of
read_only = ["s3"]
document = "{}"
[policies.text]
document = "canary"                     #! [policies.text] `document` is no policy that can be used: `policy` is not
[policies.statement]
document = '{"Version": "2012-10-17", "Statement": {"Effect": "canary"}}' #! `document` is no policy that can be used: `Statement[0]
[policies.services]
read_only = ["s3", "canary"]            #! `read_only` is no policy that can be used: `services` names one that is not known
[policies.away]
file = "canary.json"                    #! [policies.away] `file` cannot be read
[policies.typed]
read_only = "canary"                    #! [policies.typed] `read_only`
[servers.aws.tool_policies]
call_aws = "canary"                     #! [servers.aws.tool_policies] `call_aws` is neither a JSON document nor a policy's name; name one of: away
read = "away"
suggest = '{"canary": 1}'               #! `suggest` is no policy that can be used
[servers.typed.tool_policies]
number = 7                              #! [servers.typed.tool_policies] must be a string
"#,
    )
    .await;
}

#[tokio::test]
async fn check_policy_on_unnarrowable_account_is_reported() {
    assert_diagnostics(
        r#"[session]
default_account = "given"
region = "us-east-1"
[accounts.given]
provider = "memory"
[accounts.keys]
provider = "environment"
[accounts.role]
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/agent"
policy = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}}'
[policies.reading]
read_only = ["s3"]
[servers.default.tool_policies]
"*" = "reading"                         #! `*` cannot hold: account `given` cannot be narrowed
[servers.keys]
account = "keys"
[servers.keys.tool_policies]
one = "reading"                         #! `one` cannot hold: account `keys` cannot be narrowed
[servers.nothing]
credentials = "none"
tool_policies = { one = "reading" }     #! [servers.nothing.tool_policies] `one` narrows nothing
[servers.role]
account = "role"
[servers.role.tool_policies]
both = "reading"                        #! `both` cannot hold: account `role` cannot be narrowed: `policy` allows nothing
"#,
    )
    .await;
}

#[tokio::test]
async fn check_valid_policies_pass() {
    let document = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}"#;
    let settings = format!(
        "[session]\ndefault_account = 'role'\nregion = 'us-east-1'\n[accounts.keys]\nprovider = 'environment'\n[accounts.role]\n\
         provider = 'assume-role'\nsource = 'keys'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n\
         [policies.written]\ndocument = '{document}'\n[policies.kept]\nfile = 'kept.json'\n\
         [policies.composed]\nread_only = ['s3', 'logs']\n[servers.aws.tool_policies]\n\
         one = 'written'\ntwo = 'kept'\n'*' = 'composed'\nfour = '{document}'\n"
    );
    let fixture = ProgramFixture::new().file("valetkey.toml", settings).file("kept.json", document);
    let fixture = fixture.file("mcp.json", r#"{"mcpServers": {"aws": {"command": "true"}}}"#);
    let output = fixture.run(&["check", "--mcp-config", "mcp.json"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{}", output.stderr);
}
