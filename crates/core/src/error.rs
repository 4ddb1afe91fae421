//! One opaque, cloneable error, with the questions callers have: what kind, is it transient, what to do next.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of everything in valetkey that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing is there to ask. The only kind that falls through a [`ProviderChain`](crate::ProviderChain).
    NotConfigured,
    /// The other side knows who asks, and says no.
    Denied,
    /// A person has to act, such as reading the code off an MFA device; asking again without one does not help. Not
    /// transient, and no verdict on what was issued before: a set in hand goes on to be served until it expires.
    InteractionRequired,
    /// The request, a setting or an answer is malformed, or names something that does not exist.
    Invalid,
    /// What was held has expired and could not be replaced.
    Expired,
    /// The other side asks for fewer requests.
    Throttled,
    /// No answer in time.
    TimedOut,
    /// The other side cannot be reached or is failing.
    Unavailable,
    /// The session was closed.
    Closed,
    /// A fault of this program, such as a provider that panicked.
    Internal,
}

impl ErrorKind {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::TimedOut | Self::Unavailable)
    }

    /// The stable `snake_case` code used in tool results, audit records and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Denied => "denied",
            Self::InteractionRequired => "interaction_required",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Throttled => "throttled",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
            Self::Closed => "closed",
            Self::Internal => "internal",
        }
    }
}

/// What went wrong, where, and what to do next.
///
/// `Display` is one lower-case line that names the provider and the remedy. It repeats neither its cause (walk
/// [`source`](StdError::source) for that) nor any input: whoever creates an error passes fixed words and names,
/// never a value that may be secret.
#[derive(Clone)]
pub struct Error(Arc<ErrorInner>);

#[derive(Clone)]
struct ErrorInner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    provider: Option<Cow<'static, str>>,
    field: Option<Cow<'static, str>>,
    next_step: Option<Cow<'static, str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is a lower-case phrase without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(ErrorInner {
            kind,
            message: message.into(),
            provider: None,
            field: None,
            next_step: None,
            source: None,
        }))
    }

    /// [`ErrorKind::Invalid`] for one named `field`; `rule` completes the sentence "`field` …".
    pub fn invalid(field: impl Into<Cow<'static, str>>, rule: impl AsRef<str>) -> Self {
        let field = field.into();
        let message = format!("`{field}` {}", rule.as_ref());
        Self::new(ErrorKind::Invalid, message).update(|parts| parts.field = Some(field))
    }

    /// [`ErrorKind::NotConfigured`].
    pub fn not_configured(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotConfigured, message)
    }

    /// Names the provider that failed. The innermost name stays.
    #[must_use]
    pub fn with_provider(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.update(|parts| {
            parts.provider.get_or_insert(name.into());
        })
    }

    /// Names the field that the failure is about.
    #[must_use]
    pub fn with_field(self, field: impl Into<Cow<'static, str>>) -> Self {
        self.update(|parts| parts.field = Some(field.into()))
    }

    /// Says what to do next, as an imperative phrase without a full stop.
    #[must_use]
    pub fn with_next_step(self, step: impl Into<Cow<'static, str>>) -> Self {
        self.update(|parts| parts.next_step = Some(step.into()))
    }

    /// Keeps the cause. The cause must hold no secret: no response body, no input.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.update(|parts| parts.source = Some(Arc::new(source)))
    }

    /// What went wrong, as far as a caller can act on it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }

    /// The phrase that says what failed, without provider and remedy.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The provider that failed.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The field of the input or of the settings that the failure is about.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What to do next.
    #[must_use]
    pub fn next_step(&self) -> Option<&str> {
        self.0.next_step.as_deref()
    }

    fn update(mut self, change: impl FnOnce(&mut ErrorInner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = self.provider() {
            write!(f, "{provider}: ")?;
        }
        f.write_str(self.message())?;
        match self.next_step() {
            Some(step) => write!(f, "; {step}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("provider", &self.0.provider)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
