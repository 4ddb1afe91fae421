//! Lines are found however a file is written, and shapes that are none are told.

use super::told_line_by_line;

#[tokio::test]
async fn a_line_is_found_however_the_key_is_written() {
    told_line_by_line(
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
async fn text_that_looks_like_a_table_does_not_mislead() {
    told_line_by_line(
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
async fn a_region_that_is_none_is_told_once_and_one_that_nobody_names_is_asked_for() {
    told_line_by_line(
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
async fn sections_of_another_shape_are_told() {
    told_line_by_line(
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
async fn windows_line_ends_count_as_one() {
    let text = "[session]\r\nregion = 'canary!' #! [session] `region` must be 1 to 63\r\n";
    told_line_by_line(text).await;
}
