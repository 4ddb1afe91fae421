//! `Metrics`: what a gateway has done, for Prometheus. No label names a session, a principal or an account, whose number
//! is not bounded.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use valetkey::audit::{AuditRecord, RequestDetails};

use super::state::Status;
use super::store_metrics::StoreMetrics;

pub(super) type Labels = Vec<(&'static str, String)>;

/// The upper bounds of the durations of requests, in seconds. A Lambda function may run for 15 minutes.
const DURATION_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 900.0];

/// The metrics of one gateway.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    events: Family<Labels, Counter>,
    requests: Family<Labels, Counter>,
    request_bytes: Family<Labels, Counter>,
    request_duration: Histogram,
    ready: Gauge,
    store: StoreMetrics,
    sessions: Gauge,
    processes: Gauge,
    requests_in_progress: Gauge,
    access_requests: Gauge,
    start_time: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("valetkey");
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version of this program", Info::new(version));
        let metrics = Self {
            registry: Registry::default(),
            events: Family::default(),
            requests: Family::default(),
            request_bytes: Family::default(),
            request_duration: Histogram::new(DURATION_BUCKETS),
            ready: Gauge::default(),
            store: StoreMetrics::default(),
            sessions: Gauge::default(),
            processes: Gauge::default(),
            requests_in_progress: Gauge::default(),
            access_requests: Gauge::default(),
            start_time: Gauge::default(),
        };
        metrics.register(&mut registry);
        Self { registry, ..metrics }
    }

    /// Registers clones, which share their values with the fields.
    fn register(&self, registry: &mut Registry) {
        let events = "Events of the audit log, by kind and by the kind of error";
        registry.register("credential_events", events, self.events.clone());
        let requests = "Requests of programs through the signing proxy, by service and class of status";
        registry.register("aws_requests", requests, self.requests.clone());
        let bytes = "Bodies of these requests, by direction";
        registry.register_with_unit("aws_request_body", bytes, Unit::Bytes, self.request_bytes.clone());
        let duration = "Time from the arrival of such a request to the end of its response";
        registry.register_with_unit(
            "aws_request_duration",
            duration,
            Unit::Seconds,
            self.request_duration.clone(),
        );
        registry.register("ready", "1 if the gateway is ready", self.ready.clone());
        self.store.register(registry);
        registry.register("sessions", "Open sessions", self.sessions.clone());
        registry.register("server_processes", "Processes of MCP servers", self.processes.clone());
        let in_progress = "Requests and event streams of MCP clients in progress";
        registry.register("mcp_requests_in_progress", in_progress, self.requests_in_progress.clone());
        let waiting = "Requests that wait for a person: for access, or for a sign-in";
        registry.register("access_requests_waiting", waiting, self.access_requests.clone());
        let start = "When the gateway started, since 1970";
        registry.register_with_unit("start_time", start, Unit::Seconds, self.start_time.clone());
    }

    /// Counts a record.
    pub(super) fn count(&self, record: &AuditRecord) {
        let failure = record.failure.map_or("", |failure| failure.code()).to_owned();
        self.events.get_or_create(&vec![("event", name(record.event)), ("failure", failure)]).inc();
        if let Some(request) = &record.request {
            self.count_request(request);
        }
    }

    fn count_request(&self, request: &RequestDetails) {
        let service = request.service.clone().unwrap_or_default();
        let class = request.status.map_or_else(|| "none".to_owned(), |status| format!("{}xx", status / 100));
        self.requests.get_or_create(&vec![("service", service), ("status", class)]).inc();
        for (direction, bytes) in [("sent", request.request_bytes), ("received", request.response_bytes)] {
            self.request_bytes.get_or_create(&vec![("direction", direction.to_owned())]).inc_by(bytes);
        }
        self.request_duration.observe(request.duration.as_secs_f64());
    }

    /// Returns the metrics in the OpenMetrics text format, with the state at this moment and the number of requests for access
    /// that wait.
    pub(super) fn to_text(&self, status: &Status, waiting: usize, start_time: f64) -> String {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.ready.set(i64::from(status.ready));
        self.store.set(status.store.as_ref());
        self.sessions.set(number(status.sessions.len()));
        self.processes.set(number(status.processes));
        self.requests_in_progress.set(number(status.requests));
        self.access_requests.set(number(waiting));
        self.start_time.set(start_time);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ok = encode(&mut text, &self.registry);
        text
    }
}

/// Returns the name of an event, as in the audit log.
fn name(event: impl Serialize) -> String {
    serde_json::to_value(event).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}
