//! Rewrites common spellings of an instant as RFC 3339.
//!
//! Works on the text alone, before any parsing: what it cannot rewrite it returns unchanged, and the parser refuses it.

/// Rewrites `2035-01-01 08:45 +0000 UTC` as `2035-01-01T08:45:00+00:00`, and each part likewise. Adds missing parts
/// (seconds, an offset of zero). A text of another form remains unparseable.
pub(super) fn normalize_rfc3339(text: &str) -> String {
    let text = text.trim().to_ascii_uppercase();
    let (text, _) = text.split_once(" UTC").unwrap_or((&text, ""));
    let Some((date, rest)) = text.trim_end().split_once(['T', ' ']) else { return text.to_owned() };
    let (time, offset) = rest.split_at(rest.find(['Z', '+', '-']).unwrap_or(rest.len()));
    let time = time.trim_end();
    let seconds = if time.len() == 5 { ":00" } else { "" };
    format!("{date}T{time}{seconds}{}", normalize_offset(offset))
}

/// Rewrites `+0000` and `+00` as `+00:00`, and a missing offset as `Z`.
fn normalize_offset(text: &str) -> String {
    match (text.len(), text.split_at_checked(3)) {
        (0, _) => "Z".to_owned(),
        (3, _) => format!("{text}:00"),
        (5, Some((hours, minutes))) => format!("{hours}:{minutes}"),
        _ => text.to_owned(),
    }
}
