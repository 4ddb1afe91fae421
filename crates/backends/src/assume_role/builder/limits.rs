//! The limits of `AssumeRole` (API reference of STS; quotas of IAM), so that a mistake is told by field and without a
//! call.

use std::collections::BTreeSet;
use std::time::Duration;

use valetkey_core::{Error, Result};

use super::super::client::Request;

const MAX_TAGS: usize = 50;
const MAX_POLICY_ARNS: usize = 10;
const MAX_POLICY_CHARACTERS: usize = 2048;
/// The longest session of a role that was assumed with temporary credentials, in seconds.
pub(crate) const MAX_CHAINED: i32 = 3600;

pub(super) fn check(request: &Request) -> Result<()> {
    name("session_name", &request.session_name)?;
    if let Some(identity) = &request.source_identity {
        source_identity(identity)?;
    }
    if let Some(id) = &request.external_id {
        external_id(id)?;
    }
    policies(request)?;
    tags(&request.tags)?;
    transitive_tags(request)
}

/// A duration in the seconds that STS counts in.
pub(super) fn duration(duration: Duration, chained: bool) -> Result<i32> {
    let seconds = i32::try_from(duration.as_secs()).ok().filter(|_| duration.subsec_nanos() == 0);
    match seconds {
        Some(seconds @ 900..=43_200) if !chained || seconds <= MAX_CHAINED => Ok(seconds),
        Some(900..=43_200) => Err(Error::invalid("duration", "must be at most 3,600 s for a chained role")
            .with_next_step("shorten it, or assume the role with long-lived credentials")),
        _ => Err(Error::invalid("duration", "must be 900 to 43,200 whole seconds")),
    }
}

fn name(field: &'static str, text: &str) -> Result<()> {
    rule(
        (2..=64).contains(&text.len()) && only(text, b"_+=,.@-"),
        field,
        "must be 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`",
    )
}

fn source_identity(text: &str) -> Result<()> {
    rule(!reserved(text), "source_identity", "must not begin with `aws:`")?;
    name("source_identity", text)
}

fn external_id(text: &str) -> Result<()> {
    rule(
        (2..=1224).contains(&text.len()) && only(text, b"_+=,.@:/-"),
        "external_id",
        "must be 2 to 1,224 of `A-Z a-z 0-9 _ + = , . @ : / -`",
    )
}

fn policies(request: &Request) -> Result<()> {
    if let Some(policy) = &request.policy {
        policy_document(policy)?;
    }
    rule(request.policy_arns.len() <= MAX_POLICY_ARNS, "policy_arns", "must be at most 10")?;
    for arn in &request.policy_arns {
        let plain =
            arn.starts_with("arn:") && arn.contains(":policy/") && arn.bytes().all(|b| b.is_ascii_graphic());
        rule(
            plain && arn.len() >= 20,
            "policy_arns",
            "must be managed policy ARNs such as `arn:aws:iam::aws:policy/ReadOnlyAccess`",
        )?;
    }
    let inline = request.policy.iter().map(|policy| policy.chars().count());
    let total: usize = inline.chain(request.policy_arns.iter().map(String::len)).sum();
    rule(
        total <= MAX_POLICY_CHARACTERS,
        "policy",
        "and `policy_arns` together must be at most 2,048 characters",
    )
}

fn policy_document(policy: &str) -> Result<()> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    rule(policy.chars().all(allowed), "policy", "must hold only tabs, line breaks and U+0020 to U+00FF")?;
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(policy).is_ok();
    rule(is_object, "policy", "must be a JSON object")
}

fn tags(tags: &[(String, String)]) -> Result<()> {
    rule(tags.len() <= MAX_TAGS, "tags", "must be at most 50")?;
    let mut seen = BTreeSet::new();
    for (key, value) in tags {
        tag_key("tags", key)?;
        let fits = value.chars().count() <= 256 && value.chars().all(in_tag);
        rule(fits, "tags", "must have values of at most 256 letters, digits, spaces and `_ . : / = + - @`")?;
        rule(!reserved(value), "tags", "must have no value that begins with `aws:`")?;
        rule(seen.insert(key.to_lowercase()), "tags", "must not name a key twice, whatever its case")?;
    }
    Ok(())
}

fn transitive_tags(request: &Request) -> Result<()> {
    const FIELD: &str = "transitive_tags";
    rule(request.transitive_tags.len() <= MAX_TAGS, FIELD, "must be at most 50")?;
    for key in &request.transitive_tags {
        tag_key(FIELD, key)?;
        let known = request.tags.iter().any(|(tag, _)| tag == key);
        rule(known, FIELD, "must each be the key of one of the tags")?;
    }
    Ok(())
}

fn tag_key(field: &'static str, key: &str) -> Result<()> {
    let fits = (1..=128).contains(&key.chars().count()) && key.chars().all(in_tag);
    rule(fits, field, "must have keys of 1 to 128 letters, digits, spaces and `_ . : / = + - @`")?;
    rule(!reserved(key), field, "must have no key that begins with `aws:`")
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`; marks that belong to letters pass here and are left to STS.
fn in_tag(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

fn reserved(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

fn only(text: &str, marks: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

fn rule(holds: bool, field: &'static str, rule: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(field, rule)) }
}
