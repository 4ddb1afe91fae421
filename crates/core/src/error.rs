//! One opaque, cloneable error that reports its kind, whether it is transient, and what to do next.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result type of all fallible functions of valetkey.
///
/// # Examples
/// ```
/// # use valetkey_core::{Region, Result};
/// fn read_region(setting: &str) -> Result<Region> {
///     Region::parse("settings.region", setting)
/// }
/// assert_eq!(read_region("US").unwrap_err().field(), Some("settings.region"));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, as far as a caller can act on it.
///
/// The kind decides what to do: repeat a request after a [transient](Self::is_transient) error, involve a person,
/// change a setting, or give up. Match with a wildcard arm; kinds may be added.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use valetkey_core::{Error, ErrorKind};
///
/// /// Returns how long to wait before the next attempt.
/// fn delay_before_retry(error: &Error) -> Option<Duration> {
///     match error.kind() {
///         ErrorKind::Throttled => Some(Duration::from_secs(30)),
///         kind if kind.is_transient() => Some(Duration::from_secs(1)),
///         _ => None,
///     }
/// }
///
/// let refused = Error::new(ErrorKind::Denied, "the role may not be assumed");
/// assert_eq!(delay_before_retry(&refused), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no source to call. The only kind that falls through a [`ProviderChain`](crate::ProviderChain).
    NotConfigured,
    /// The service identified the caller and refused the request.
    Denied,
    /// A person has to act, such as reading the code off an MFA device; retrying without one does not help. Not
    /// transient. Credentials that were issued before are not affected: they continue to be served until they expire.
    InteractionRequired,
    /// The request, a setting or a response is malformed, or names something that does not exist.
    Invalid,
    /// The credentials have expired and could not be replaced.
    Expired,
    /// The service requires fewer requests.
    Throttled,
    /// There was no response in time.
    TimedOut,
    /// The service cannot be reached or is failing.
    Unavailable,
    /// The session was closed.
    Closed,
    /// A bug in this program, such as a provider that panicked.
    Internal,
}

impl ErrorKind {
    /// Returns whether the same request may succeed later without any change.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::TimedOut | Self::Unavailable)
    }

    /// Returns the stable `snake_case` code used in tool results, audit records and metrics.
    ///
    /// The code does not change between releases, so that alerts and dashboards may depend on it.
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

/// Reports what failed, where, and what to do next.
///
/// `Display` writes one lower-case line that names the provider and the remedy. It repeats neither its cause (see
/// [`source`](StdError::source)) nor any input: the code that creates an error passes fixed words and names, never a
/// value that may be secret.
///
/// # Examples
/// ```
/// # use valetkey_core::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::Denied, "the role may not be assumed")
///     .with_provider("assume-role")
///     .with_next_step("check the trust policy of the role");
/// assert_eq!(error.kind(), ErrorKind::Denied);
/// assert_eq!(error.provider(), Some("assume-role"));
/// assert!(!error.is_transient());
/// ```
#[derive(Clone)]
pub struct Error(Arc<ErrorInner>);

/// Behind an `Arc`, since a shared fetch returns the same error to each of its callers.
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
    /// Creates an error of `kind`. `message` is a lower-case phrase without a full stop.
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

    /// Creates an [`ErrorKind::Invalid`] error for one named `field`. `rule` completes the sentence "`field` …".
    pub fn invalid(field: impl Into<Cow<'static, str>>, rule: impl AsRef<str>) -> Self {
        let field = field.into();
        let message = format!("`{field}` {}", rule.as_ref());
        Self::new(ErrorKind::Invalid, message).update(|parts| parts.field = Some(field))
    }

    /// Creates an [`ErrorKind::NotConfigured`] error.
    ///
    /// Only for a source that does not exist, such as a missing file or variable: a
    /// [`ProviderChain`](crate::ProviderChain) then continues with the next provider.
    pub fn not_configured(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotConfigured, message)
    }

    /// Adds the name of the provider that failed. If the error already has one, that name stays: it is the innermost.
    #[must_use]
    pub fn with_provider(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.update(|parts| {
            parts.provider.get_or_insert(name.into());
        })
    }

    /// Adds the name of the field that the error is about.
    #[must_use]
    pub fn with_field(self, field: impl Into<Cow<'static, str>>) -> Self {
        self.update(|parts| parts.field = Some(field.into()))
    }

    /// Adds what to do next, as an imperative phrase without a full stop.
    #[must_use]
    pub fn with_next_step(self, step: impl Into<Cow<'static, str>>) -> Self {
        self.update(|parts| parts.next_step = Some(step.into()))
    }

    /// Adds the cause. The cause must hold no secret: no response body, no input.
    ///
    /// `Display` does not write it; reporters that print the chain of causes do.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.update(|parts| parts.source = Some(Arc::new(source)))
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the same request may succeed later without any change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }

    /// Returns the phrase that describes what failed, without provider and remedy.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the name of the provider that failed.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// Returns the field of the input or of the settings that the error is about.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// Returns what to do next.
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
