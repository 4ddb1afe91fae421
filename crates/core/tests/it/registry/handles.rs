//! Handles: unguessable, read back as they were written, and never shown by accident.

use std::collections::HashSet;

use valetkey_core::ErrorKind;

use super::*;

#[test]
fn session_handle_display_round_trips() {
    let handle = RegistryFixture::new().open("ana").handle();
    let text = handle.to_string();
    assert_eq!(text.len(), 32);
    assert_eq!(text.parse::<SessionHandle>().unwrap(), handle);
    let padded = "00000000000000000000000000000a0b";
    assert_eq!(padded.parse::<SessionHandle>().unwrap().to_string(), padded);
}

#[test]
fn session_handle_debug_shows_last_four_digits() {
    let opened = RegistryFixture::new().open("ana");
    let text = opened.handle().to_string();
    assert_eq!(format!("{:?}", opened.handle()), format!("…{}", &text[28..]));
    assert!(!format!("{opened:?}").contains(&text[..28]));
}

#[test]
fn session_handle_malformed_is_refused_without_echo() {
    let handle = RegistryFixture::new().open("ana").handle().to_string();
    for text in [
        "",
        "0",
        &handle[1..],
        &format!("{handle}0"),
        &format!("+{}", &handle[1..]),
        &format!(" {}", &handle[1..]),
        &"A".repeat(32),
        &"g".repeat(32),
        &"é".repeat(16),
    ] {
        let error = text.parse::<SessionHandle>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.field(), Some("handle"));
        assert!(text.len() < 2 || !format!("{error} {error:?}").contains(text));
    }
}

#[test]
fn session_handle_random_differs_in_every_byte() {
    let fixture = RegistryFixture::new();
    let handles: Vec<String> = (0..50).map(|n| fixture.open(&format!("p{n}")).handle().to_string()).collect();
    for part in [0..8, 8..16, 16..24, 24..32] {
        let parts: HashSet<&str> = handles.iter().map(|handle| &handle[part.clone()]).collect();
        assert_eq!(parts.len(), handles.len());
    }
}
