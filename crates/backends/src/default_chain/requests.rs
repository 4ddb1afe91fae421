//! `Requests`: how the HTTP requests of a fetch ended, observed below the SDK.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use parking_lot::{Mutex, MutexGuard};

use super::retries::Cost;

/// How the requests of one attempt ended, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing was sent.
    NoRequest,
    /// The last response was a success.
    Success,
    /// The last response was a refusal.
    Refusal,
    /// A request had no response, or a service was too busy or failed.
    Failure(Cost),
}

/// Observes the requests of a fetch. The errors of the SDK's providers do not suffice: many come without the status of
/// the response, and a failed refresh of a single sign-on token is not returned at all, so that the expired token is
/// used and refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Mutex<Observed>>);

#[derive(Debug, Default)]
struct Observed {
    unanswered: usize,
    failure: Option<Cost>,
    last_status: Option<u16>,
    skew: Skew,
    /// The skew that the requests of the attempt were signed with.
    corrected: Skew,
}

impl Requests {
    /// Discards the results of the previous attempt, except for the skew of the clock, and returns the skew, which corrects
    /// the clock of the new attempt.
    pub(super) fn begin_attempt(&self) -> Skew {
        let mut observed = self.observed();
        let skew = observed.skew;
        *observed = Observed { skew, corrected: skew, ..Observed::default() };
        skew
    }

    pub(super) fn outcome(&self) -> Outcome {
        let observed = self.observed();
        match (observed.failure, observed.last_status) {
            _ if observed.unanswered > 0 => Outcome::Failure(Cost::Transient),
            (Some(cost), _) => Outcome::Failure(cost),
            (None, Some(200..=299)) => Outcome::Success,
            (None, Some(_)) => Outcome::Refusal,
            (None, None) => Outcome::NoRequest,
        }
    }

    /// Returns whether the attempt showed that the clock is wrong and was made without a correction.
    pub(super) fn has_new_skew(&self) -> bool {
        let observed = self.observed();
        observed.skew != Skew::None && observed.corrected == Skew::None
    }

    /// Returns a client that sends requests with `client` and records their results here.
    pub(super) fn observing(&self, client: SharedHttpClient, clock: SharedTimeSource) -> SharedHttpClient {
        SharedHttpClient::new(Observing { inner: client, requests: self.clone(), clock })
    }

    /// A request counts as lost until it ends, because the SDK drops it at a timeout.
    fn begin(&self) {
        self.observed().unanswered += 1;
    }

    fn end(&self, result: &Result<HttpResponse, ConnectorError>, sent: SystemTime, received: SystemTime) {
        let mut observed = self.observed();
        match result {
            Ok(response) => {
                let status = response.status().as_u16();
                observed.last_status = Some(status);
                observed.failure = failure(status).or(observed.failure);
                observed.skew = Skew::measured(response, sent, received).unwrap_or(observed.skew);
            }
            Err(error) if error.is_io() || error.is_timeout() || error.as_other().is_some() => return,
            Err(_) => {}
        }
        observed.unanswered = observed.unanswered.saturating_sub(1);
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.0.lock()
    }
}

fn failure(status: u16) -> Option<Cost> {
    match status {
        429 => Some(Cost::Throttling),
        500.. => Some(Cost::Transient),
        _ => None,
    }
}

#[derive(Debug)]
struct Observing<T> {
    inner: T,
    requests: Requests,
    clock: SharedTimeSource,
}

impl HttpClient for Observing<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        let (requests, clock) = (self.requests.clone(), self.clock.clone());
        SharedHttpConnector::new(Observing { inner, requests, clock })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl HttpConnector for Observing<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (requests, clock, sent) = (self.requests.clone(), self.clock.clone(), self.clock.now());
        requests.begin();
        let call = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let result = call.await;
            requests.end(&result, sent, clock.now());
            result
        })
    }
}

/// Services accept signatures that are five minutes old, so a smaller skew does not cause a refusal.
const MIN_SKEW: Duration = Duration::from_secs(4 * 60);

/// The difference between the clock of a service and the clock of this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Skew {
    #[default]
    None,
    Ahead(Duration),
    Behind(Duration),
}

impl Skew {
    /// Measures the skew between the `Date` of a response and the middle of the time between sending and receiving. Returns
    /// `None` for a response of a cache, which has an `Age`.
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

    /// Returns a clock that agrees with the clocks of the services.
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
