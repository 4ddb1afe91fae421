//! Tests which encodings of a secret are found, and how long a secret is known.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use valetkey_core::testing::{Canary, ManualClock};
use valetkey_core::{Clock, Expiry, SecretString};

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY==";

fn long_lived_credentials(secret: &str) -> Credentials {
    Credentials::builder("AKIA0000000000000000".parse().unwrap(), secret.into()).build().unwrap()
}

fn redactor_with_secret(secret: &str) -> Redactor {
    let redactor = Redactor::default();
    redactor.add(&long_lived_credentials(secret));
    redactor
}

/// Asserts that `masked` contains no eight consecutive characters of the secret.
fn assert_no_part_shown(masked: &str, secret: &str) {
    for part in secret.as_bytes().windows(MIN_SECRET_LEN) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!masked.contains(part), "{part} in {masked}");
    }
}

/// Encodings of a text by ordinary serializers.
fn written_forms(text: &str) -> Vec<String> {
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
fn redactor_escaped_secret_is_masked() {
    let redactor = redactor_with_secret(SECRET);
    for spelling in written_forms(SECRET).iter().filter(|spelling| !spelling.contains("wjalr")) {
        let masked = redactor.mask(&format!("before {spelling} after"));
        assert_eq!(masked, "before [redacted] after", "{spelling}");
    }
    let mut value = serde_json::json!({"k": [SECRET, {SECRET: 1}], "é": "ü"});
    redactor.mask_json(&mut value);
    assert_eq!(value, serde_json::json!({"k": ["[redacted]", {"[redacted]": 1}], "é": "ü"}));
}

#[test]
fn redactor_base64_at_any_offset_is_masked() {
    let redactor = redactor_with_secret(SECRET);
    let core = &SECRET[3..SECRET.len() - 5];
    for before in ["", "a", "ab", "abc", "{\"SecretAccessKey\": \""] {
        for secret in [SECRET.to_owned(), SECRET.replace('+', "\\u002B"), SECRET.replace('/', "\\/")] {
            let text = format!("{before}{secret}\", and more");
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                let masked = redactor.mask(&engine.encode(&text));
                assert!(masked.contains(MASK), "{text}");
                // The characters on both sides of the mask are less than eight characters of the secret.
                let shown = masked.split_once(MASK).unwrap();
                let (head, tail) = (engine.encode(before), engine.encode("\", and more"));
                assert!(shown.0.len() <= head.len() + 4 && shown.1.len() <= tail.len() + 4, "{masked}");
                let left: String = masked.split(MASK).map(|part| part.trim_end_matches('=')).collect();
                let bytes = STANDARD_NO_PAD.decode(&left[..left.len() / 4 * 4]).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&bytes).contains(core), "{text}");
            }
        }
    }
}

#[test]
fn redactor_base64_wrapped_in_lines_is_masked() {
    let token = "IQoJb3JpZ2luX2Vj/+".repeat(20);
    let redactor = redactor_with_secret(&token);
    let encoded = STANDARD.encode(format!("token: {token}"));
    let lines: Vec<_> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for line_break in ["\n", "\r\n", "\\n", "\\\\n"] {
        let masked = redactor.mask(&lines.join(line_break));
        // The characters beside the mask encode four bits of the space before the token, and two of its last byte.
        assert_eq!(masked, "dG9rZW46IE[redacted]w==");
    }
}

#[test]
fn redactor_overlapping_secrets_are_masked_as_one() {
    let redactor = redactor_with_secret("first-secret-shared-part");
    redactor.add(&long_lived_credentials("shared-part-second-secret"));
    assert_eq!(redactor.mask("ä first-secret-shared-part-second-secret ö"), "ä [redacted] ö");
}

#[test]
fn redactor_short_secret_is_not_masked() {
    assert_eq!(redactor_with_secret("seven77").mask("seven77 stays"), "seven77 stays");
}

/// Like real secrets, the secrets of two numbers have little in common.
fn random_secret(n: usize) -> String {
    STANDARD.encode(Sha256::digest(n.to_be_bytes()))
}

/// Temporary credentials with this number.
fn temporary_credentials(n: usize, expiry: Expiry) -> Credentials {
    let id = "ASIA0000000000000000".parse().unwrap();
    let builder = Credentials::builder(id, random_secret(n).into());
    builder
        .session_token(SecretString::from(format!("token{}", random_secret(n))))
        .expiry(expiry)
        .build()
        .unwrap()
}

fn is_masked(redactor: &Redactor, n: usize) -> bool {
    let masked = redactor.mask(&format!("{} token{}", random_secret(n), random_secret(n)));
    assert!(masked == "[redacted] [redacted]" || !masked.contains(MASK), "{masked}");
    masked.contains(MASK)
}

#[test]
fn redactor_many_valid_credentials_are_all_masked() {
    let (clock, long) = (ManualClock::new(), SECRET);
    let redactor = Redactor::with_clock(Arc::new(clock.clone()));
    let valid = Expiry::At(clock.now() + Duration::from_secs(60));
    redactor.add(&long_lived_credentials(long));
    (0..500).for_each(|n| redactor.add(&temporary_credentials(n, valid)));
    assert!((0..500).all(|n| is_masked(&redactor, n)));
    assert_eq!(redactor.mask(long), MASK);
}

#[test]
fn redactor_expired_credentials_keep_the_latest() {
    let clock = ManualClock::new();
    let redactor = Redactor::with_clock(Arc::new(clock.clone()));
    let ends = |n: u64| Expiry::At(clock.now() + Duration::from_secs(n));
    (0..100).for_each(|n| redactor.add(&temporary_credentials(n, ends(1 + n as u64))));
    redactor.add(&long_lived_credentials(SECRET));
    let valid = ends(10_000);
    redactor.add(&temporary_credentials(0, valid));
    clock.advance(Duration::from_secs(1_000));
    (100..200).for_each(|n| redactor.add(&temporary_credentials(n, valid)));
    assert!(is_masked(&redactor, 0), "it was prolonged");
    assert!((1..60).all(|n| !is_masked(&redactor, n)));
    assert!((100 - state::RETAINED_EXPIRED..200).all(|n| is_masked(&redactor, n)));
    assert_eq!(redactor.mask(SECRET), MASK, "a secret without a session token does not expire");
}

#[test]
fn redactor_secret_added_again_keeps_the_later_expiry() {
    let clock = ManualClock::new();
    let redactor = Redactor::with_clock(Arc::new(clock.clone()));
    let ends = |n: u64| Expiry::At(clock.now() + Duration::from_secs(n));
    redactor.add(&temporary_credentials(0, ends(10_000)));
    redactor.add(&temporary_credentials(0, ends(1)));
    (1..100).for_each(|n| redactor.add(&temporary_credentials(n, ends(2))));
    let valid = ends(10_000);
    clock.advance(Duration::from_secs(1_000));
    (100..200).for_each(|n| redactor.add(&temporary_credentials(n, valid)));
    assert!(!is_masked(&redactor, 1), "expired credentials were removed");
    assert!(is_masked(&redactor, 0), "these are still valid");
}

#[test]
fn redactor_long_lived_key_with_expiry_stays_known() {
    let clock = ManualClock::new();
    let redactor = Redactor::with_clock(Arc::new(clock.clone()));
    let id = "AKIA0000000000000000".parse().unwrap();
    let builder = Credentials::builder(id, SECRET.into());
    redactor.add(&builder.expiry(Expiry::At(clock.now() + Duration::from_secs(1))).build().unwrap());
    clock.advance(Duration::from_secs(1_000));
    (0..100).for_each(|n| redactor.add(&temporary_credentials(n, Expiry::At(clock.now()))));
    assert_eq!(redactor.mask(SECRET), MASK);
}

#[test]
fn redactor_grant_is_masked_until_removed() {
    let (redactor, id, token) = (Redactor::default(), Uuid::new_v4(), Uuid::new_v4().simple().to_string());
    redactor.add_grant(id, &[&token]);
    (0..100).for_each(|n| redactor.add(&temporary_credentials(n, Expiry::At(std::time::UNIX_EPOCH))));
    let text = format!("http://127.0.0.1:1/credentials/{} {token}", id.simple());
    assert_eq!(redactor.mask(&text), "http://127.0.0.1:1/credentials/[redacted] [redacted]");
    assert!(!redactor.mask(&STANDARD.encode(format!("x{token}"))).contains(&STANDARD.encode(&token)[4..40]));
    redactor.remove_grant(id);
    assert_eq!(redactor.mask(&text), text);
}

#[test]
fn redactor_secret_in_hexadecimal_is_masked() {
    let redactor = redactor_with_secret(SECRET);
    for digits in [|b| format!("{b:02x}"), |b| format!("{b:02X}")] as [fn(u8) -> String; 2] {
        let hex: String = SECRET.bytes().map(digits).collect();
        assert_eq!(redactor.mask(&format!("0x{hex};")), "0x[redacted];");
    }
}

/// The longest of several secrets with a common prefix is masked as a whole, and secrets that are absent are not.
#[test]
fn redactor_secrets_with_common_prefix_masks_the_longest() {
    let redactor = Redactor::default();
    let all: String = (0..10).map(random_secret).collect();
    for length in [8, 11, 12, 30, 31, 100] {
        redactor.add(&long_lived_credentials(&all[..length]));
    }
    for (length, shown) in [(100, 100), (99, 31), (31, 31), (12, 12), (11, 11), (8, 8)] {
        let masked = redactor.mask(&format!("{}!", &all[..length]));
        assert_eq!(masked.len(), (length - shown) + MASK.len() + 1, "{length}: {masked}");
    }
}

#[test]
fn pattern_index_repetitive_secrets_bound_comparisons() {
    let redactor = Redactor::default();
    (8..1_000).for_each(|length| redactor.add(&long_lived_credentials(&"a".repeat(length))));
    redactor.add(&long_lived_credentials(&format!("{}b", "a".repeat(4_000))));
    let text = normalize::NormalizedText::new(&"a".repeat(50_000));
    assert_eq!(redactor.index().search(&text), vec![Range { start: 0, end: 50_000 }]);
    // At most once for each of 18 length steps up to 4,001, and eight times in each.
    let most = 18 * 9 * 50_000;
    assert!(text.comparisons.get() <= most, "{} comparisons", text.comparisons.get());
    assert!(text.comparisons.get() >= 50_000, "{} comparisons", text.comparisons.get());
}

#[test]
fn pattern_index_long_repetitive_secret_bounds_comparisons() {
    let redactor = redactor_with_secret(&format!("{}b", "ab".repeat(8_000)));
    let text = normalize::NormalizedText::new(&"ab".repeat(25_000));
    assert!(redactor.index().search(&text).is_empty());
    assert!(text.comparisons.get() <= 2 * 50_000, "{} comparisons", text.comparisons.get());
}

#[tokio::test]
async fn redactor_large_value_is_masked_as_a_small_one() {
    let redactor = redactor_with_secret(SECRET);
    for size in [10, MAX_INLINE_SIZE, 4 * MAX_INLINE_SIZE] {
        let value = serde_json::json!({"k": ["x".repeat(size), {SECRET: SECRET}]});
        let mut expected = value.clone();
        redactor.mask_json(&mut expected);
        assert_eq!(redactor.mask_json_async(value).await, Some(expected.clone()));
        assert_no_part_shown(&expected.to_string(), SECRET);
    }
    assert!(!fits_within(&serde_json::json!(["x".repeat(MAX_INLINE_SIZE)]), &mut { MAX_INLINE_SIZE }));
    assert!(fits_within(&serde_json::json!(["x".repeat(100), 1, null]), &mut { MAX_INLINE_SIZE }));
}

#[test]
fn mask_tail_secret_across_start_is_masked() {
    let redactor = redactor_with_secret(SECRET);
    let text = format!("ä{SECRET} end");
    for from in 0..SECRET.len() {
        assert!(redactor.mask_tail(&text, from).ends_with("[redacted] end"), "{from}");
    }
    assert_eq!(redactor.mask_tail(&text, text.len() - 3), "end");
}

#[test]
fn redactor_secret_key_and_session_token_are_masked() {
    let (redactor, canary) = (Redactor::default(), Canary::new());
    redactor.add(&canary.credentials(Expiry::Never).unwrap());
    let json = canary.to_json();
    let field = |name: &str| json[name].as_str().unwrap();
    let text =
        format!("{} {} {}", field("access_key_id"), field("secret_access_key"), field("session_token"));
    assert_eq!(redactor.mask(&text), format!("{} {MASK} {MASK}", field("access_key_id")));
    let mut masked = json.clone();
    redactor.mask_json(&mut masked);
    let expected = serde_json::json!({
        "access_key_id": field("access_key_id"), "secret_access_key": MASK, "session_token": MASK,
    });
    assert_eq!(masked, expected);
}

#[test]
fn redactor_text_of_the_shortest_secret_alone_is_masked() {
    let secret = "8-chars!";
    assert_eq!(secret.len(), MIN_SECRET_LEN);
    assert_eq!(redactor_with_secret(secret).mask(secret), MASK);
}

#[test]
fn redactor_observed_and_added_secrets_are_masked_until_clear() {
    let redactor = Redactor::default();
    redactor.observe(&long_lived_credentials(SECRET));
    redactor.add_secret("added-secret");
    let text = format!("{SECRET} added-secret");
    assert_eq!(redactor.mask(&text), "[redacted] [redacted]");
    redactor.clear();
    assert_eq!(redactor.mask(&text), text);
}

#[test]
fn mask_tail_after_a_secret_shows_no_mask() {
    let redactor = redactor_with_secret(SECRET);
    assert_eq!(redactor.mask_tail(&format!("{SECRET} end"), SECRET.len()), " end");
}

#[test]
fn fits_within_counts_keys_and_values() {
    let long = "x".repeat(MAX_INLINE_SIZE);
    let fits = |value: &Value| fits_within(value, &mut { MAX_INLINE_SIZE });
    assert!(!fits(&serde_json::json!({"k": long})));
    assert!(!fits(&serde_json::json!({long: "v"})));
    assert!(fits(&serde_json::json!({"k": "v"})));
}

/// Returns a redactor with `count` secrets that share their first twelve characters.
fn redactor_with_similar_secrets(count: usize) -> Redactor {
    let redactor = Redactor::default();
    (0..count).for_each(|n| redactor.add(&long_lived_credentials(&format!("aaaaaaaaaaaa{n:03}"))));
    redactor
}

#[test]
fn pattern_index_compares_few_similar_secrets_only() {
    let absent = "aaaaaaaaaaaa999";
    let redactor = redactor_with_similar_secrets(index::MAX_GROUP_COMPARISONS);
    assert_eq!(redactor.mask(absent), absent);
    let redactor = redactor_with_similar_secrets(index::MAX_GROUP_COMPARISONS + 1);
    assert_eq!(redactor.mask(absent), MASK, "a mask may be too long");
    let text = normalize::NormalizedText::new(&"a".repeat(10_000));
    assert!(!redactor_with_similar_secrets(500).index().search(&text).is_empty());
    assert!(text.comparisons.get() <= 10 * 10_000, "{} comparisons", text.comparisons.get());
}

#[test]
fn redactor_debug_names_the_type_only() {
    assert_eq!(format!("{:?}", redactor_with_secret("canary-secret")), "Redactor { .. }");
}

proptest! {
    #[test]
    fn redactor_text_without_secret_is_unchanged(text in "(.|%|\\\\|&#|\\n){0,60}") {
        prop_assert_eq!(redactor_with_secret(SECRET).mask(&text), text);
    }

    #[test]
    fn redactor_secret_of_base64_characters_is_masked_whole(
        secret in "[A-Za-z0-9+/=]{8,40}",
        before in "[a-z]{0,9} ",
        after in " [a-z]{0,9}",
    ) {
        let redactor = redactor_with_secret(&secret);
        for spelling in written_forms(&secret).iter().filter(|spelling| normalized(spelling) == normalized(&secret)) {
            let masked = redactor.mask(&format!("{before}{spelling}{after}"));
            // The backslash of an escaped slash is no part of the secret.
            prop_assert_eq!(masked.replace("\\[", "["), format!("{before}{MASK}{after}"), "{}", spelling);
        }
    }

    #[test]
    fn redactor_any_secret_in_any_escape_is_masked(secret in "[!-~]{8,40}", before in "[ -~]{0,9} ") {
        let redactor = redactor_with_secret(&secret);
        // An escape in the secret itself may leave too little of it to recognize.
        prop_assume!(normalize::Normalizer::new(&secret).count() >= MIN_SECRET_LEN);
        for spelling in written_forms(&secret).iter().filter(|spelling| normalized(spelling) == normalized(&secret)) {
            let masked = redactor.mask(&format!("{before}{spelling}"));
            let shown = masked.strip_prefix(before.as_str()).unwrap_or(&masked).replace(MASK, "");
            prop_assert!(masked.contains(MASK) && normalized(&shown).len() < MIN_SECRET_LEN, "{} of {}", masked, spelling);
        }
    }
}

fn normalized(text: &str) -> Vec<u8> {
    normalize::Normalizer::new(text).map(|sign| sign.byte).collect()
}
