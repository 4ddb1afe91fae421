//! The parts of requests that STS limits (durations, names, session policies and session tags), and the attribution of a
//! request to a session in its names and tags.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use valetkey_core::{Attribution, Error, NameTemplate, Result, SessionId, SessionPolicy};

/// The longest session of a role that was assumed with temporary credentials, in seconds.
pub(crate) const MAX_CHAINED_SECONDS: i32 = 3600;

/// The durations that an operation accepts.
pub(crate) struct DurationRange {
    pub(crate) min_seconds: i32,
    pub(crate) max_seconds: i32,
    pub(crate) message: &'static str,
}

/// The durations of a role session.
pub(crate) const ROLE_DURATION: DurationRange =
    DurationRange { min_seconds: 900, max_seconds: 43_200, message: "must be 900 to 43,200 whole seconds" };
/// The durations of the credentials of an IAM user or a federated user.
pub(crate) const USER_DURATION: DurationRange =
    DurationRange { min_seconds: 900, max_seconds: 129_600, message: "must be 900 to 129,600 whole seconds" };

impl DurationRange {
    /// Returns the duration in seconds, the unit of STS.
    pub(crate) fn checked_seconds(&self, duration: Duration) -> Result<i32> {
        i32::try_from(duration.as_secs())
            .ok()
            .filter(|seconds| {
                duration.subsec_nanos() == 0 && (self.min_seconds..=self.max_seconds).contains(seconds)
            })
            .ok_or_else(|| Error::invalid("duration", self.message))
    }
}

/// Checks the name of a role session.
pub(crate) fn check_session_name(text: &str) -> Result<()> {
    ensure(is_name(text, 64), "session_name", "must be 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`")
}

/// Checks a source identity, which may be longer than a name: STS raised its limit from 64 characters.
pub(crate) fn check_source_identity(text: &str) -> Result<()> {
    const FIELD: &str = "source_identity";
    ensure(!has_aws_prefix(text), FIELD, "must not begin with `aws:`")?;
    ensure(is_name(text, 256), FIELD, "must be 2 to 256 of `A-Z a-z 0-9 _ + = , . @ -`")
}

/// Checks the name of a federated user.
pub(crate) fn check_user_name(text: &str) -> Result<()> {
    ensure(is_name(text, 32), "name", "must be 2 to 32 of `A-Z a-z 0-9 _ + = , . @ -`")
}

fn is_name(text: &str, max: usize) -> bool {
    (2..=max).contains(&text.len()) && is_charset(text, b"_+=,.@-")
}

/// Returns whether a text begins with the prefix that is reserved for AWS.
pub(crate) fn has_aws_prefix(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Returns whether a text consists of ASCII letters, ASCII digits and `marks`.
pub(crate) fn is_charset(text: &str, marks: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

/// Returns an `Invalid` error for `field` unless the condition is true.
pub(crate) fn ensure(condition: bool, field: &'static str, rule: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(Error::invalid(field, rule)) }
}

const MAX_POLICY_ARNS: usize = 10;
const MAX_POLICY_CHARACTERS: usize = 2048;

/// The session policies of a request.
#[derive(Clone, Default)]
pub(crate) struct SessionPolicies {
    pub(crate) inline: Option<String>,
    pub(crate) arns: Vec<String>,
}

impl SessionPolicies {
    pub(crate) fn check(&self) -> Result<()> {
        self.inline.as_deref().map_or(Ok(()), check_inline_policy)?;
        ensure(self.arns.len() <= MAX_POLICY_ARNS, "policy_arns", "must be at most 10")?;
        self.arns.iter().try_for_each(|arn| check_policy_arn(arn))?;
        let inline = self.inline.iter().map(|policy| policy.chars().count());
        let total: usize = inline.chain(self.arns.iter().map(String::len)).sum();
        ensure(
            total <= MAX_POLICY_CHARACTERS,
            "policy",
            "and `policy_arns` together must be at most 2,048 characters",
        )
    }

    /// Returns the intersection of the inline policy and `policy`.
    pub(crate) fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        if !self.arns.is_empty() {
            return Err(Error::invalid(
                "policy_arns",
                "cannot be narrowed, because their content is not known here",
            )
            .with_next_step("use an inline policy with the same content"));
        }
        let own = self.inline.as_deref().map(str::parse::<SessionPolicy>).transpose()?;
        let policy = own.map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy))?;
        Ok(Self { inline: Some(policy.into()), arns: Vec::new() })
    }

    /// Returns the ARNs for the SDK; `None` if there are none, because the SDK would send an empty list.
    pub(crate) fn to_sdk_arns(&self) -> Option<Vec<PolicyDescriptorType>> {
        let arns = self.arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build());
        Some(arns.collect()).filter(|arns: &Vec<_>| !arns.is_empty())
    }
}

fn check_inline_policy(policy: &str) -> Result<()> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    ensure(
        policy.chars().all(allowed),
        "policy",
        "must contain only tabs, line breaks and U+0020 to U+00FF",
    )?;
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(policy).is_ok();
    ensure(is_object, "policy", "must be a JSON object")
}

fn check_policy_arn(arn: &str) -> Result<()> {
    let is_plain =
        arn.starts_with("arn:") && arn.contains(":policy/") && arn.bytes().all(|b| b.is_ascii_graphic());
    ensure(
        is_plain && arn.len() >= 20,
        "policy_arns",
        "must be managed policy ARNs such as `arn:aws:iam::aws:policy/ReadOnlyAccess`",
    )
}

const MAX_TAGS: usize = 50;

/// The session tags of a request, in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct SessionTags(Vec<(String, String)>);

impl SessionTags {
    pub(crate) fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((key.into(), value.into()));
    }

    pub(crate) fn check(&self) -> Result<()> {
        ensure(self.0.len() <= MAX_TAGS, "tags", "must be at most 50")?;
        let mut seen = BTreeSet::new();
        for (key, value) in &self.0 {
            check_key("tags", key)?;
            ensure(
                is_well_formed_value(value),
                "tags",
                "must have values of at most 256 letters, digits, spaces and `_ . : / = + - @`",
            )?;
            ensure(!has_aws_prefix(value), "tags", "must have no value that begins with `aws:`")?;
            ensure(seen.insert(key.to_lowercase()), "tags", "must not name a key twice, whatever its case")?;
        }
        Ok(())
    }

    /// Checks the keys of the tags that further roles inherit.
    pub(crate) fn check_transitive(&self, keys: &[String]) -> Result<()> {
        const FIELD: &str = "transitive_tags";
        ensure(keys.len() <= MAX_TAGS, FIELD, "must be at most 50")?;
        for key in keys {
            check_key(FIELD, key)?;
            let is_tag = self.0.iter().any(|(tag, _)| tag == key);
            ensure(is_tag, FIELD, "must each be the key of one of the tags")?;
        }
        Ok(())
    }

    /// Returns the tags for the SDK; `None` if there are none, because the SDK would send an empty list.
    pub(crate) fn to_sdk(&self) -> Result<Option<Vec<Tag>>> {
        let tags = self.0.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags: Vec<Tag> = tags
            .collect::<Result<_, _>>()
            .map_err(|_| Error::invalid("tags", "must have keys and values"))?;
        Ok(Some(tags).filter(|tags| !tags.is_empty()))
    }
}

/// Returns whether AWS accepts the text as the value of a tag.
pub(super) fn is_valid_tag_value(text: &str) -> bool {
    is_well_formed_value(text) && !has_aws_prefix(text)
}

fn is_well_formed_value(value: &str) -> bool {
    value.chars().count() <= 256 && value.chars().all(is_tag_char)
}

fn check_key(field: &'static str, key: &str) -> Result<()> {
    let is_valid = (1..=128).contains(&key.chars().count()) && key.chars().all(is_tag_char);
    ensure(is_valid, field, "must have keys of 1 to 128 letters, digits, spaces and `_ . : / = + - @`")?;
    ensure(!has_aws_prefix(key), field, "must have no key that begins with `aws:`")
}

/// Returns whether a character matches `[\p{L}\p{Z}\p{N}_.:/=+\-@]`. Combining marks of letters pass too; STS checks them.
fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

/// The name of a session to which nothing is attributed.
pub(crate) const DEFAULT_SESSION_NAME: &str = "valetkey";

/// A name, literally or as a template for the attribution.
#[derive(Clone)]
pub(crate) enum NameSource {
    Literal(String),
    Template(NameTemplate),
}

/// Renders a template.
type Render = fn(&NameTemplate, &Attribution) -> Result<String>;

/// The names and the attribution in the description of a provider.
#[derive(Clone, Default)]
pub(crate) struct RequestAttribution {
    pub(crate) attribution: Option<Attribution>,
    pub(crate) tags_disabled: bool,
    pub(crate) session_name: Option<NameSource>,
    pub(crate) source_identity: Option<NameSource>,
}

impl RequestAttribution {
    pub(crate) fn session_name(&self) -> Result<String> {
        match (&self.session_name, &self.attribution) {
            (Some(name), _) => self.render(name, NameTemplate::render),
            (None, Some(attribution)) => attribution.session_name(),
            (None, None) => Ok(DEFAULT_SESSION_NAME.to_owned()),
        }
    }

    pub(crate) fn source_identity(&self) -> Result<Option<String>> {
        let render = NameTemplate::render_source_identity;
        self.source_identity.as_ref().map(|name| self.render(name, render)).transpose()
    }

    /// Returns the name of a federated user, which has at most 32 characters: the session's id without hyphens.
    pub(crate) fn user_name(&self) -> String {
        let session = self.attribution.as_ref().and_then(Attribution::session_id);
        session.map_or_else(|| DEFAULT_SESSION_NAME.to_owned(), SessionId::compact)
    }

    /// Adds the tags of the attribution to `tags`, unless they are disabled.
    ///
    /// A value that AWS does not accept is an error: cut or altered, it might identify another principal.
    pub(crate) fn tag(&self, tags: &mut SessionTags) -> Result<()> {
        let attribution = self.attribution.iter().filter(|_| !self.tags_disabled);
        for (key, value) in attribution.flat_map(Attribution::tags) {
            if !is_valid_tag_value(&value) {
                return Err(invalid_tag(key));
            }
            tags.add(key, value);
        }
        Ok(())
    }

    fn render(&self, name: &NameSource, render: Render) -> Result<String> {
        match name {
            NameSource::Literal(name) => Ok(name.clone()),
            NameSource::Template(template) => render(template, &self.attribution.clone().unwrap_or_default()),
        }
    }
}

fn invalid_tag(key: &str) -> Error {
    let rule = format!(
        "has a value for the tag `{key}` that AWS does not take: up to 256 letters, digits, spaces and `_ . : / = + - @`"
    );
    Error::invalid("attribution", rule).with_next_step("use other characters, or turn the session tags off")
}
