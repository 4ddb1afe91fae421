//! The clock that requests are signed by, corrected by what the services say the time is.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// Services accept signatures that are five minutes old. A smaller skew is no reason for a refusal.
const MIN_SKEW: Duration = Duration::from_secs(4 * 60);

/// How far the clock of a service is from this machine's; zero if they agree well enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Skew {
    #[default]
    None,
    Ahead(Duration),
    Behind(Duration),
}

impl Skew {
    /// The skew that a response shows: between its `Date` and the middle of sending and receiving. A response out of a
    /// cache, which has an `Age`, shows none.
    pub(super) fn measured(response: &HttpResponse, sent: SystemTime, received: SystemTime) -> Option<Self> {
        if response.headers().get("age").is_some() {
            return None;
        }
        let date = DateTime::from_str(response.headers().get("date")?, Format::HttpDate).ok()?;
        let served = SystemTime::try_from(date).ok()?;
        let middle = sent.checked_add(received.duration_since(sent).unwrap_or_default() / 2)?;
        Some(match served.duration_since(middle) {
            Ok(ahead) if ahead > MIN_SKEW => Self::Ahead(ahead),
            Err(error) if error.duration() > MIN_SKEW => Self::Behind(error.duration()),
            _ => Self::None,
        })
    }

    /// The clock of the services, as far as it is known.
    pub(super) fn correct(self, clock: SharedTimeSource) -> SharedTimeSource {
        match self {
            Self::None => clock,
            _ => SharedTimeSource::new(Corrected { clock, skew: self }),
        }
    }
}

#[derive(Debug)]
struct Corrected {
    clock: SharedTimeSource,
    skew: Skew,
}

impl TimeSource for Corrected {
    fn now(&self) -> SystemTime {
        let now = self.clock.now();
        let corrected = match self.skew {
            Skew::None => None,
            Skew::Ahead(skew) => now.checked_add(skew),
            Skew::Behind(skew) => now.checked_sub(skew),
        };
        corrected.unwrap_or(now)
    }
}
