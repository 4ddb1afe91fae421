//! Names that are parsed once: taken or refused by their rule, whatever is tried, and never echoed.

use proptest::prelude::*;
use valetkey_core::{
    AccessKeyId, AccountId, AccountName, Attribution, CredentialId, Error, NameTemplate, Principal, RoleArn,
    SessionId,
};

/// Characters of all rules, and some of none.
const IDENTIFIER_TEXT: &str = "[a-zA-Z0-9/_+=.,@: #é-]{0,140}";

fn is_word(text: &str, punctuation: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || punctuation.contains(c))
}

fn check_parse<T>(parsed: Result<T, Error>, fits: bool, text: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(parsed.is_ok(), fits, "{}", text);
    if let Err(error) = parsed {
        prop_assert!(error.field().is_some());
        prop_assert!(text.len() < 8 || !format!("{error} {error:?}").contains(text), "{}", error);
    }
    Ok(())
}

proptest! {
    #[test]
    fn session_identifiers_follow_their_rules(text in IDENTIFIER_TEXT, long in 60_usize..300) {
        for text in [text, "x".repeat(long)] {
            let within = |longest: usize| (1..=longest).contains(&text.len());
            check_parse(text.parse::<AccountName>(), within(64) && is_word(&text, "_-"), &text)?;
            let printable = |longest: usize| {
                (1..=longest).contains(&text.chars().count()) && text.trim() == text
            };
            check_parse(text.parse::<Principal>(), printable(256), &text)?;
            check_parse(text.parse::<CredentialId>(), printable(2_048), &text)?;
        }
    }

    #[test]
    fn aws_identifiers_follow_their_rules(digits in "[0-9a]{10,14}", key in "[A-Za-z0-9_é-]{10,20}", long in 100_usize..160) {
        let twelve = digits.len() == 12 && !digits.contains('a');
        check_parse(digits.parse::<AccountId>(), twelve, &digits)?;
        for key in [key, "A".repeat(long)] {
            check_parse(key.parse::<AccessKeyId>(), (1..=128).contains(&key.len()) && is_word(&key, "_-"), &key)?;
        }
    }

    #[test]
    fn role_arn_parses_account_and_name(account in "[0-9]{11,13}", name in "[a-zA-Z0-9/_+=,.@ #-]{0,40}", long in 1_900_usize..2_100) {
        for name in [name, "r".repeat(long)] {
            let text = format!("arn:aws:iam::{account}:role/{name}");
            let named = !name.is_empty() && !name.ends_with('/') && is_word(&name, "/_+=,.@-");
            check_parse(text.parse::<RoleArn>(), account.len() == 12 && named && text.len() <= 2_048, &text)?;
        }
    }

    /// `RoleSessionName` of STS: 2–64 of `[\w+=,.@-]`; `SourceIdentity`: 2–256 of them.
    #[test]
    fn name_template_renders_valid_name_or_error(before in "[a-z+=,.@_-]{0,200}", principal in "[a-z0-9/_+=.,@:-]{1,128}") {
        let name = format!("{before}{principal}");
        let template: NameTemplate = format!("{before}{{principal}}").parse().unwrap();
        let who = Attribution::new().principal(principal.parse().unwrap());
        for (filled, max) in [(template.render(&who), 64), (template.render_source_identity(&who), 256)] {
            let fits = (2..=max).contains(&name.len()) && is_word(&name, "_+=,.@-");
            prop_assert_eq!(filled.as_ref().is_ok(), fits, "{}", name);
            prop_assert!(filled.is_err() || filled.unwrap() == name, "neither cut nor altered");
        }
    }

    #[test]
    fn session_id_parses_32_hexadecimal_digits(text in "[0-9a-f]{30,34}") {
        check_parse(text.parse::<SessionId>(), text.len() == 32, &text)?;
    }
}
