//! Errors in `valetkey.toml`, each reported at its line.

use super::assert_diagnostics;

#[tokio::test]
async fn check_invalid_sections_report_their_lines() {
    assert_diagnostics(
        r#"stray = "canary"                     #! [stray] is not a section; there are session, accounts
[session]
default_account = "canary-nowhere"      #! [session] `default_account` is not one of the accounts; name one of: keys
region = "canary region"                #! [session] `region` must be 1 to 63
principal = " canary principal"         #! [session] `principal` must be 1 to 256
attribution = "canary"                  #! [session] `attribution` must be one of `none`, `name`, `tags`
colour = "canary"                       #! [session] unknown field `colour`; use one of: default_account,
[accounts.keys]
provider = "memory"
[servers.files]
credentials = "canary"                  #! [servers.files] `credentials` must be one of `endpoint`, `env`, `proxy`, `sigv4`, `none`
account = "canary-unknown"              #! [servers.files] `account` is not one of the accounts
[resolver]
provider = "secrets-manager"
prefix = ""                             #! [resolver] `prefix` must be 1 to 256
source = "keys"                         #! [resolver] `source` leads to an account of provider `memory`
region = "canary!"                     #! [resolver] `region` must be 1 to 63
[audit]
file = "no-such-folder/canary.jsonl"    #! [audit] `file` cannot be written
[extra]                                 #! [extra] is not a section
"#,
    )
    .await;
}

#[tokio::test]
async fn check_invalid_role_fields_are_all_reported() {
    assert_diagnostics(
        r#"[accounts.role]
provider = "assume-role"
source = "canary-unknown"               #! [accounts.role] `source` is not one of the accounts; name one of: role
role_arn = "arn:canary"                 #! [accounts.role] `role_arn` must be a role ARN such as
region = "canary!"                     #! [accounts.role] `region` must be 1 to 63
session_name = "canary!"                #! [accounts.role] `session_name` must be 2 to 64
source_identity = "aws:canary"          #! [accounts.role] `source_identity` must not begin with
external_id = "canary in words"         #! [accounts.role] `external_id` must be 2 to 1,224
duration_seconds = 43_201               #! [accounts.role] `duration_seconds` must be 900 to 43,200
policy = "canary"                       #! [accounts.role] `policy` must be a JSON object
policy_arns = ["canary"]                #! [accounts.role] `policy_arns` must be managed policy ARNs
tags = { "aws:x" = "canary" }           #! [accounts.role] `tags` must have no key that begins with
attribution = "canary"                  #! [accounts.role] `attribution` must be one of `none`, `name`, `tags`
"#,
    )
    .await;
}

#[tokio::test]
async fn check_name_template_with_missing_value_is_reported() {
    assert_diagnostics(
        r#"[session]
region = "eu-central-1"
[accounts.keys]
provider = "memory"
[accounts.role]
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/agent"
session_name = "vk-{principal}"         #! [accounts.role] `session_name` contains `{principal}`, which this session
source_identity = "{canary}"            #! [accounts.role] `source_identity` must be made of
[accounts.fine]
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/agent"
session_name = "vk-{account}-{session}"
"#,
    )
    .await;
}

#[tokio::test]
async fn check_attribution_invalid_as_tag_is_reported() {
    let text = r#"[session]
region = "eu-central-1"
agent = "canary#7"
attribution = "tags"
[accounts.keys]
provider = "memory"
[accounts.role]                         #! [accounts.role] `attribution` has a value for the tag `valetkey:agent` that
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/agent"
[accounts.untagged]
provider = "assume-role"
source = "keys"
role_arn = "arn:aws:iam::111111111111:role/agent"
attribution = "name"
"#;
    assert_diagnostics(text).await;
}

#[tokio::test]
async fn check_types_keys_and_values_are_reported_together() {
    assert_diagnostics(
        r#"[accounts.role]
provider = "assume-role"
source = ["canary"]                     #! [accounts.role] `source` must be a string
role_arn = "arn:canary"
secret_access_key = "canary"            #! [accounts.role] unknown field `secret_access_key`; keys are not kept in this file
duration_seconds = "canary"             #! [accounts.role] `duration_seconds` must be a whole number of seconds, without quotes
tags = { team = "ok", level = 5 }       #! [accounts.role] `tags` must be a string
policy_arns = "canary"                  #! [accounts.role] `policy_arns` must be a list, such as
[accounts.secret]
provider = "secrets-manager"
source = "role"
secret_id = "canary with blanks"        #! [accounts.secret] `secret_id` must be 1 to 2048 visible
region = "canary!"                     #! [accounts.secret] `region` must be 1 to 63
[accounts.stage]
provider = "secrets-manager"
source = "role"
secret_id = "sound"
region = "us-east-1"
version_stage = "canary"
version_id = "canary"                   #! [accounts.stage] `version_id` must not be given together
[accounts.nothing]                      #! [accounts.nothing] needs a `provider`, which is `memory` or `environment`
[accounts.something]
provider = "canary"                     #! [accounts.something] `provider` must be `memory` or
[accounts.number]
provider = "environment"
region = 5                              #! [accounts.number] `region` must be a string
[accounts.short]                        #! [accounts.short] missing field `secret_id`
provider = "secrets-manager"
source = "number"
"#,
    )
    .await;
}

#[tokio::test]
async fn check_source_cycle_is_reported_once() {
    assert_diagnostics(
        r#"[accounts.a]
provider = "assume-role"
role_arn = "arn:aws:iam::111111111111:role/a"
region = "us-east-1"
source = "b"                            #! [accounts.a] `source` leads back to itself: a → b → a
[accounts.b]
provider = "assume-role"
role_arn = "arn:aws:iam::111111111111:role/b"
region = "us-east-1"
source = "a"
[accounts.c]
provider = "assume-role"
role_arn = "arn:aws:iam::111111111111:role/c"
region = "us-east-1"
source = "c"                            #! [accounts.c] `source` leads back to itself: c → c
[accounts.leaf]
provider = "assume-role"
role_arn = "arn:aws:iam::111111111111:role/leaf"
region = "us-east-1"
source = "a"
[resolver]
provider = "secrets-manager"
prefix = "p/"
source = "leaf"
region = "us-east-1"
"#,
    )
    .await;
}

#[tokio::test]
async fn check_invalid_tags_and_resolver_are_reported() {
    assert_diagnostics(
        r#"[session]
region = "us-east-1"
[accounts.env]
provider = "environment"
[accounts.transitive]
provider = "assume-role"
source = "env"
role_arn = "arn:aws:iam::111111111111:role/a"
transitive_tags = ["canary"]            #! [accounts.transitive] `transitive_tags` must each be the key of one
[accounts.twice]
provider = "assume-role"
source = "env"
role_arn = "arn:aws:iam::111111111111:role/a"
policy_arns = ["arn:aws:iam::aws:policy/canary", 7]  #! [accounts.twice] `policy_arns` must be a string
[accounts.twice.tags]                   #! [accounts.twice] `tags` must not name a key twice
team = "canary"
TEAM = "canary"
[resolver]
provider = "secrets-manager"
prefix = "blank canary"                 #! [resolver] `prefix` must be 1 to 256
source = "canary"                       #! [resolver] `source` is not one of the accounts; name one of: env,
"#,
    )
    .await;
}

#[tokio::test]
async fn check_disallowed_account_as_default_is_reported() {
    assert_diagnostics(
        r#"[session]
region = "us-east-1"
default_account = "keys"                #! [session] `default_account` is not one of the `allowed_accounts`
allowed_accounts = ["dev", "canary"]    #! [session] `allowed_accounts` holds what is not one of the accounts; name
[accounts.keys]
provider = "memory"
[accounts.env]
provider = "environment"
region = "canary!"                     #! [accounts.env] `region` must be 1 to 63
[accounts.dev]
provider = "assume-role"
source = "keys"                         #! [accounts.dev] `source` leads past the session to an account of
role_arn = "arn:aws:iam::111111111111:role/a"
[servers.files]
account = "keys"                        #! [servers.files] `account` is not one of the `allowed_accounts`
"#,
    )
    .await;
    assert_diagnostics(
        r#"[session]
allowed_accounts = []                   #! [session] `allowed_accounts` must name one account at least
[accounts.keys]
provider = "memory"
"#,
    )
    .await;
}
