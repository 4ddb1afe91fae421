//! Handles have one spelling, and show nothing.

use valetkey_core::ExposeSecret;
use valetkey_store::{ClientHandle, RecordId};

#[test]
fn handle_exposed_and_parsed_is_the_same() {
    let handle = ClientHandle::random().unwrap();
    let text = handle.expose();
    let parsed: ClientHandle = text.expose_secret().parse().unwrap();
    assert_eq!(parsed.expose().expose_secret(), text.expose_secret());
    assert_eq!(parsed.id().to_string().parse::<RecordId>().unwrap(), handle.id());
    assert_ne!(ClientHandle::random().unwrap().id(), handle.id());
}

#[test]
fn handle_in_another_spelling_is_refused_without_echo() {
    let text = ClientHandle::random().unwrap().expose();
    let text = text.expose_secret();
    let digit = text.find(|c: char| c.is_ascii_lowercase() && c != 'v' && c != 'k').expect("a letter");
    let mut upper = text.to_owned();
    upper[digit..].make_ascii_uppercase();
    for other in [
        upper,
        format!(" {text}"),
        format!("{text} "),
        format!("{text}0"),
        text[1..].to_owned(),
        text.replacen("vk1", "vk2", 1),
        text.replacen('.', "", 1),
        text.replacen('.', "..", 1),
        text.chars().rev().collect(),
        "ä".repeat(35),
        String::new(),
    ] {
        let error = other.parse::<ClientHandle>().unwrap_err();
        assert_eq!(error.field(), Some("handle"));
        assert!(other.is_empty() || !format!("{error} {error:?}").contains(&other), "{error}");
    }
}

#[test]
fn handle_debug_shows_four_digits_of_the_id() {
    let handle = ClientHandle::random().unwrap();
    let shown = format!("{handle:?}");
    assert_eq!(shown, format!("vk1.…{}.…", &handle.id().to_string()[28..]));
}
