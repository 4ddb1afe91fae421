//! Lines are found in every notation of TOML, and values of the wrong shape are reported.

use super::assert_diagnostics;

#[tokio::test]
async fn check_key_in_any_notation_reports_its_line() {
    assert_diagnostics(
        r#"accounts."quoted".provider = "memory"
accounts."quoted".region = "canary!"   #! [accounts.quoted] `region` must be 1 to 63
accounts."with space".provider = "memory"  #! [accounts.with space] `name` must be 1 to 64 of
accounts.inline = { provider = "memory", region = "canary!"}  #! [accounts.inline] `region` must be 1 to 63
servers.text = 'canary'                 #! [servers.text] must be a table; write it under `[servers.text]`
session.principal = " canary principal" #! [session] `principal` must be 1 to 256
[ accounts . 'spaced' ]
"provider" = "memory"
"region" = "canary!"                    #! [accounts.spaced] `region` must be 1 to 63
"#,
    )
    .await;
}

#[tokio::test]
async fn check_table_header_inside_string_is_ignored() {
    assert_diagnostics(
        r#"[accounts.env]
provider = "environment"
[accounts.role]
provider = "assume-role"
role_arn = "arn:aws:iam::111111111111:role/a"
region = "us-east-1"
policy = '''{"Statement": [
["session"]
]}'''
source = "env"
[session]
region = "canary!"                     #! [session] `region` must be 1 to 63
"#,
    )
    .await;
}

#[tokio::test]
async fn check_invalid_or_missing_region_is_reported_once() {
    assert_diagnostics(
        r#"[accounts.keys]
provider = "environment"
[accounts.wrong]
provider = "assume-role"
role_arn = "arn:aws:iam::111111111111:role/a"
region = "canary!"                     #! [accounts.wrong] `region` must be 1 to 63
source = "keys"
[accounts.unnamed]                      #! [accounts.unnamed] `region` of STS is not known; give the provider a region
provider = "assume-role"
role_arn = "arn:aws:iam::111111111111:role/a"
source = "keys"
[resolver]
provider = "secrets-manager"
prefix = "p/"
source = "keys"
region = "canary!"                     #! [resolver] `region` must be 1 to 63
"#,
    )
    .await;
}

#[tokio::test]
async fn check_section_of_wrong_type_is_reported() {
    assert_diagnostics(
        r#"
session = "canary"                      #! [session] must be a table; write it under `[session]`
accounts = ["canary"]                   #! [accounts] must be a table
audit.file = 5                          #! [audit] `file` must be
[[servers]]                             #! [servers] must be a table
credentials = "canary"
[resolver]
provider = "canary"                     #! [resolver] `provider` must be `secrets-manager`
source = "canary"
"#,
    )
    .await;
}

#[tokio::test]
async fn check_crlf_counts_as_one_line() {
    let text = "[session]\r\nregion = 'canary!' #! [session] `region` must be 1 to 63\r\n";
    assert_diagnostics(text).await;
}
