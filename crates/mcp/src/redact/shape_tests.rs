//! Tests which spellings of foreign credentials are masked, and that ordinary text is not.

use proptest::prelude::*;
use serde_json::json;

use super::shape::count_steps;
use super::{MASK, Redactor};

const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn token() -> String {
    "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+".repeat(4) + "=="
}

fn mask(text: &str) -> String {
    Redactor::default().mask(text)
}

/// Formats in which AWS command lines, SDKs, shells and servers write credentials.
fn written_credentials() -> Vec<String> {
    let token = token();
    let object = json!({"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "SessionToken": token});
    let credentials = json!({ "Credentials": object });
    let text = credentials.to_string();
    vec![
        text.clone(),
        serde_json::to_string_pretty(&credentials).unwrap(),
        json!({ "text": text }).to_string(),
        json!({ "outer": json!({ "text": text }).to_string() }).to_string(),
        text.replace('"', "&quot;"),
        text.replace('"', "%22")
            .replace(':', "%3A")
            .replace('/', "%2F")
            .replace('+', "%2B")
            .replace('=', "%3D"),
        text.replace('"', "'"),
        text.replace('/', "\\/").replace('=', "\\u003d"),
        format!(
            "[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\naws_session_token = {token}\n"
        ),
        format!("AWS_ACCESS_KEY_ID={KEY_ID}\nAWS_SECRET_ACCESS_KEY={SECRET}\nAWS_SESSION_TOKEN={token}\n"),
        format!("export AWS_SECRET_ACCESS_KEY=\"{SECRET}\"; export AWS_SESSION_TOKEN='{token}'"),
        format!("$Env:AWS_SECRET_ACCESS_KEY=\"{SECRET}\"\n$Env:AWS_SESSION_TOKEN=\"{token}\""),
        format!("set -gx AWS_SECRET_ACCESS_KEY {SECRET};\nsetx AWS_SESSION_TOKEN {token}"),
        format!("CREDENTIALS\t{KEY_ID}\t2026-11-28T12:00:00+00:00\t{SECRET}\t{token}"),
        format!("Access key ID,Secret access key\r\n{KEY_ID},{SECRET}\r\n"),
        format!("||  SecretAccessKey  |  {SECRET}  ||\n||  SessionToken     |  {token}  ||"),
        format!("AccessKeyId: {KEY_ID}\nSecretAccessKey: {SECRET}\nSessionToken: {token}"),
        format!("<SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{token}</SessionToken>"),
        format!("Credentials(accessKeyId={KEY_ID}, secretAccessKey={SECRET}, sessionToken={token})"),
        format!(r#"{{"SecretAccessKey" : "{SECRET}", "Token" : "{token}", "Code" : "Success"}}"#),
        format!(r#"[{{"name": "AWS_SECRET_ACCESS_KEY", "value": "{SECRET}"}}]"#),
        format!("Secret Access Key: `{SECRET}`"),
        format!("aws.secretKey={SECRET}"),
    ]
}

#[test]
fn redactor_foreign_credentials_in_text_are_masked() {
    for text in written_credentials() {
        let masked = mask(&text);
        let decoded = masked.replace("%2F", "/").replace("%2B", "+").replace("\\/", "/");
        assert!(masked.contains(MASK), "{text}");
        for part in [&SECRET[..12], &SECRET[SECRET.len() - 8..], &token()[..16], &token()[200..216]] {
            assert!(!decoded.contains(part), "{part} in {masked}");
        }
        assert_eq!(masked.contains(KEY_ID), text.contains(KEY_ID), "the id stays readable: {masked}");
        assert_eq!(mask(&masked), masked, "masked text stays the same");
    }
}

#[test]
fn redactor_foreign_secret_after_invalid_escape_is_masked() {
    for start in ["C:\\u00_a", "\\u00", "\\\\u00zz", "\\u12", "\\u"] {
        assert_eq!(
            mask(&format!("{start} SecretAccessKey={SECRET}")),
            format!("{start} SecretAccessKey={MASK}")
        );
    }
}

#[test]
fn redactor_foreign_credentials_in_json_are_masked() {
    let mut value = json!({
        "Credentials": {"AccessKeyId": "test", "SecretAccessKey": "minioadmin", "SessionToken": "short-token", "Expiration": "2026"},
        "camel": {"accessKey": "minio", "secretKey": "minioadmin"},
        "env": [{"name": "AWS_SECRET_ACCESS_KEY", "value": SECRET}, {"Value": SECRET, "Key": "aws_secret_access_key"}],
        "row": [KEY_ID, SECRET, token(), "Active"],
        "text": [format!("export AWS_SECRET_ACCESS_KEY={SECRET}")],
    });
    Redactor::default().mask_json(&mut value);
    let expected = json!({
        "Credentials": {"AccessKeyId": "test", "SecretAccessKey": MASK, "SessionToken": MASK, "Expiration": "2026"},
        "camel": {"accessKey": "minio", "secretKey": MASK},
        "env": [{"name": "AWS_SECRET_ACCESS_KEY", "value": MASK}, {"Value": MASK, "Key": "aws_secret_access_key"}],
        "row": [KEY_ID, MASK, MASK, "Active"],
        "text": [format!("export AWS_SECRET_ACCESS_KEY={MASK}")],
    });
    assert_eq!(value, expected);
}

#[test]
fn redactor_ordinary_text_is_unchanged() {
    let sha = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
    for text in [
        "aws_secret_access_key = YOUR_SECRET_ACCESS_KEY",
        "session = boto3.Session(aws_secret_access_key=credentials['SecretAccessKey'])",
        "secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY",
        r#"{"aws_secret_access_key": {"type": "string", "description": "the secret access key of the account"}}"#,
        r#"{"SecretAccessKey": "string", "SessionToken": "string"}"#,
        "SecretAccessKey: arn:aws:secretsmanager:us-east-1:111122223333:secret:app/key1-AbCdEf",
        "AWS_SECRET_ACCESS_KEY=${SECRET} AWS_SESSION_TOKEN=$(cat token)",
        "the SecretAccessKey of the user was rotated on 2026-11-28T12:00:00Z",
        r#"{"NextToken": "eyJTdGFydGluZ1Rva2VuIjogIjEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAifQ=="}"#,
        r#"{"sessionToken": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"}"#,
        &format!("commit {sha} of {KEY_ID}"),
        &format!("{KEY_ID} was used by arn:aws:sts::111122223333:assumed-role/Admin/session"),
        "secret key: a-long-placeholder-value-1",
        "tokens: 128000, session token count 12",
    ] {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn shape_search_reads_each_byte_few_times() {
    for unit in [
        "SecretAccessKey",
        "SecretAccessKey=",
        "aws_secret_access_key = ",
        "SecretAccessKey=abc123,",
        "AKIAIOSFODNN7EXAMPLE\t",
        "AKIAIOSFODNN7EXAMPLE aaaaaaaaa",
        "\\",
        "\\\"SessionToken\\\": ",
        "&quot;",
        "%22",
        "tToken: ",
        "secret ",
        "a",
        "ordinary words of a text. ",
    ] {
        let text = unit.repeat(60_000 / unit.len());
        let steps = count_steps(&text);
        assert!(steps <= 10 * text.len(), "{unit:?}: {steps} steps for {} bytes", text.len());
    }
    let twice = |size: usize| count_steps(&"export AWS_SECRET_ACCESS_KEY=short1 ".repeat(size));
    assert!(twice(2_000) <= 2 * twice(1_000) + 1_000, "the time is linear");
}

proptest! {
    #[test]
    fn redactor_words_without_names_are_unchanged(text in "([A-Za-z0-9+/=_.,:;%\\\\\"'{}<>|-]{0,90}[ \n\t]){0,12}") {
        let has_name = ["secret", "token", "akia", "asia"].iter().any(|name| text.to_ascii_lowercase().contains(name));
        prop_assume!(!has_name);
        prop_assert_eq!(mask(&text), text);
    }

    #[test]
    fn redactor_named_secret_of_aws_is_masked(secret in "[A-Za-z0-9+/]{40}", sign in "[=:] ?\"?", after in "[ \",;\n]") {
        let text = format!("x AWS_SECRET_ACCESS_KEY{sign}{secret}{after}y");
        prop_assert_eq!(mask(&text), format!("x AWS_SECRET_ACCESS_KEY{sign}{MASK}{after}y"));
    }

    #[test]
    fn redactor_any_text_is_masked_without_panic(text in "(\\PC|\\\\|%|&|secretaccesskey|=|AKIAIOSFODNN7EXAMPLE|\t){0,80}") {
        let _masked = mask(&text);
    }
}
