//! Which ways of writing a secret are found, and for how long it is known.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use valetkey_core::Expiry;
use valetkey_core::testing::Canary;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY==";

fn set(secret: &str) -> Credentials {
    Credentials::builder("AKIA0000000000000000".parse().unwrap(), secret.into()).build().unwrap()
}

fn knowing(secret: &str) -> Redactor {
    let redactor = Redactor::default();
    redactor.learn(&set(secret));
    redactor
}

/// As programs write a text, each within reach of an ordinary serializer.
fn written(text: &str) -> Vec<String> {
    let json = serde_json::to_string(text).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    vec![
        text.to_owned(),
        json.replace('\\', "\\\\").replace('"', "\\\""),
        text.replace('/', "\\/"),
        text.replace('+', "\\u002B"),
        text.replace('+', "\\\\u002b").replace('=', "\\\\u003d"),
        text.replace('=', "\\u003d").replace('/', "%2f"),
        text.replace('+', "&#x2B;").replace('=', "&#61;"),
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string().to_lowercase().replace("%2b", "+"),
        utf8_percent_encode(&utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(), NON_ALPHANUMERIC)
            .to_string(),
        json,
    ]
}

#[test]
fn every_spelling_of_a_live_secret_is_masked() {
    let redactor = knowing(SECRET);
    for spelling in written(SECRET).iter().filter(|spelling| !spelling.contains("wjalr")) {
        let told = redactor.mask(&format!("before {spelling} after"));
        assert_eq!(told, "before [redacted] after", "{spelling}");
    }
    let mut value = serde_json::json!({"k": [SECRET, {SECRET: 1}], "é": "ü"});
    redactor.mask_json(&mut value);
    assert_eq!(value, serde_json::json!({"k": ["[redacted]", {"[redacted]": 1}], "é": "ü"}));
}

#[test]
fn base64_of_a_text_that_holds_a_secret_is_masked_wherever_in_it_the_secret_begins() {
    let redactor = knowing(SECRET);
    let core = &SECRET[3..SECRET.len() - 5];
    for before in ["", "a", "ab", "abc", "{\"SecretAccessKey\": \""] {
        for secret in [SECRET.to_owned(), SECRET.replace('+', "\\u002B"), SECRET.replace('/', "\\/")] {
            let text = format!("{before}{secret}\", and more");
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                let told = redactor.mask(&engine.encode(&text));
                assert!(told.contains(MASK), "{text}");
                let left: String = told.split(MASK).map(|part| part.trim_end_matches('=')).collect();
                let bytes = STANDARD_NO_PAD.decode(&left[..left.len() / 4 * 4]).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&bytes).contains(core), "{text}");
            }
        }
    }
}

#[test]
fn base64_that_is_wrapped_into_lines_is_masked() {
    let token = "IQoJb3JpZ2luX2Vj/+".repeat(20);
    let redactor = knowing(&token);
    let encoded = STANDARD.encode(format!("token: {token}"));
    let lines: Vec<_> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for line_break in ["\n", "\r\n", "\\n", "\\\\n"] {
        let told = redactor.mask(&lines.join(line_break));
        assert!(told.len() < 40, "{told}");
    }
}

#[test]
fn secrets_that_overlap_are_masked_together_and_texts_around_them_are_kept() {
    let redactor = knowing("first-secret-shared-part");
    redactor.learn(&set("shared-part-second-secret"));
    assert_eq!(redactor.mask("ä first-secret-shared-part-second-secret ö"), "ä [redacted] ö");
}

#[test]
fn texts_that_are_too_short_to_be_secrets_are_left_alone() {
    assert_eq!(knowing("seven77").mask("seven77 stays"), "seven77 stays");
}

#[test]
fn a_set_in_use_stays_known_however_many_others_come_and_only_the_oldest_are_forgotten() {
    let redactor = knowing(SECRET);
    for n in 0..3 * REMEMBERED_SETS {
        redactor.learn(&set(&format!("secret-number-{n:04}")));
        assert_eq!(redactor.mask(SECRET), MASK, "{n}");
        redactor.learn(&set(SECRET));
    }
    assert_eq!(redactor.mask("secret-number-0095"), MASK);
    assert_eq!(redactor.mask("secret-number-0000"), "secret-number-0000");
}

#[test]
fn what_opens_a_grant_is_masked_while_it_does_whatever_sets_come_and_go() {
    let (redactor, id, token) = (Redactor::default(), Uuid::new_v4(), Uuid::new_v4().simple().to_string());
    redactor.learn_grant(id, &token);
    for n in 0..2 * REMEMBERED_SETS {
        redactor.learn(&set(&format!("secret-number-{n:04}")));
    }
    let text = format!("http://127.0.0.1:1/credentials/{} {token}", id.simple());
    assert_eq!(redactor.mask(&text), "http://127.0.0.1:1/credentials/[redacted] [redacted]");
    assert!(!redactor.mask(&STANDARD.encode(format!("x{token}"))).contains(&STANDARD.encode(&token)[4..40]));
    redactor.forget_grant(id);
    assert_eq!(redactor.mask(&text), text);
}

#[test]
fn a_secret_that_begins_before_what_is_shown_is_masked() {
    let redactor = knowing(SECRET);
    let text = format!("ä{SECRET} end");
    for from in 0..SECRET.len() {
        assert!(redactor.mask_from(&text, from).ends_with("[redacted] end"), "{from}");
    }
    assert_eq!(redactor.mask_from(&text, text.len() - 3), "end");
}

#[test]
fn both_parts_of_a_set_are_masked() {
    let (redactor, canary) = (Redactor::default(), Canary::new());
    redactor.learn(&canary.credentials(Expiry::Never).unwrap());
    let told = redactor.mask(&canary.json().to_string());
    assert_eq!(canary.found_in(&told), ["access_key_id"], "{told}");
}

proptest! {
    #[test]
    fn no_text_breaks_masking_and_nothing_but_secrets_is_changed(text in "(.|%|\\\\|&#|\\n){0,60}") {
        prop_assert_eq!(knowing(SECRET).mask(&text), text);
    }

    #[test]
    fn any_secret_is_masked_in_any_spelling(secret in "[!-~]{8,40}", before in "[ -~]{0,9} ") {
        let redactor = knowing(&secret);
        // An escape in the secret itself may leave too little of it to tell.
        prop_assume!(meant::Meant::of(&secret).count() >= SHORTEST);
        for spelling in written(&secret).iter().filter(|spelling| meant(spelling) == meant(&secret)) {
            prop_assert!(redactor.mask(&format!("{before}{spelling}")).contains(MASK), "{}", spelling);
        }
    }
}

fn meant(text: &str) -> Vec<u8> {
    meant::Meant::of(text).map(|sign| sign.byte).collect()
}
