//! `StoreMetrics`: how a gateway gets on with the session store, for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::metrics::Labels;
use super::state::{OperationEntry, StoreEntry};

/// Set from the status at each request: the library of the gateway counts.
#[derive(Debug, Default)]
pub(super) struct StoreMetrics {
    reached: Gauge,
    pending_clears: Gauge,
    refreshes: Family<Labels, Counter>,
    refused_records: Family<Labels, Counter>,
    operations: Family<Labels, Counter>,
    operation_time: Family<Labels, Counter<f64, AtomicU64>>,
}

impl StoreMetrics {
    /// Registers clones, which share their values with the fields.
    pub(super) fn register(&self, registry: &mut Registry) {
        let reached = "1 if the session store is reached, or if there is none";
        registry.register("store_reached", reached, self.reached.clone());
        let pending = "Clears that the session store has not confirmed";
        registry.register("store_pending_clears", pending, self.pending_clears.clone());
        let refreshes =
            "Refreshes of shared sessions: made for all gateways, taken from another one, or made alone";
        registry.register("store_refreshes", refreshes, self.refreshes.clone());
        let refused = "Records of the session store that were refused, by reason";
        registry.register("store_refused_records", refused, self.refused_records.clone());
        let operations = "Operations of the session store, by the kind of error";
        registry.register("store_operations", operations, self.operations.clone());
        let time = "Time that these operations took together";
        registry.register_with_unit(
            "store_operation_duration",
            time,
            Unit::Seconds,
            self.operation_time.clone(),
        );
    }

    /// Takes over a status. Without a store, nothing is counted.
    pub(super) fn set(&self, store: Option<&StoreEntry>) {
        self.reached.set(i64::from(store.is_none_or(|store| store.reached)));
        let Some(store) = store else { return };
        self.pending_clears.set(i64::try_from(store.pending_clears).unwrap_or(i64::MAX));
        let refreshes = [
            ("led", store.refreshes_led),
            ("followed", store.refreshes_followed),
            ("alone", store.refreshes_alone),
        ];
        for (kind, count) in refreshes {
            set(&self.refreshes, vec![("kind", kind.to_owned())], count);
        }
        for (reason, count) in &store.refused_records {
            set(&self.refused_records, vec![("reason", (*reason).to_owned())], *count);
        }
        for (name, operation) in &store.operations {
            self.set_operation(name, operation);
        }
    }

    fn set_operation(&self, name: &str, operation: &OperationEntry) {
        let failed: u64 = operation.errors.values().sum();
        let succeeded = [("", operation.calls.saturating_sub(failed))];
        let outcomes = operation.errors.iter().map(|(code, count)| (*code, *count));
        for (code, count) in outcomes.chain(succeeded) {
            let labels = vec![("operation", name.to_owned()), ("failure", code.to_owned())];
            set(&self.operations, labels, count);
        }
        let time = self.operation_time.get_or_create(&vec![("operation", name.to_owned())]);
        time.inner().store(operation.total_seconds.to_bits(), Ordering::Relaxed);
    }
}

/// The counts of a status never decrease.
fn set(counters: &Family<Labels, Counter>, labels: Labels, count: u64) {
    counters.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
}
