//! `[processes]`: how many server processes run at once, and when unused ones are stopped.

use std::num::NonZeroUsize;

use serde::Deserialize;
use valetkey::mcp::{ProcessLimits, ProcessQuota};

/// The limits of server processes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessLimitSettings {
    pub(crate) max_per_session: Option<NonZeroUsize>,
    pub(crate) max_per_principal: Option<NonZeroUsize>,
    pub(crate) max_total: Option<NonZeroUsize>,
    /// The time without a call after which a process is stopped; 0: never.
    pub(crate) idle_seconds: Option<u64>,
}

impl ProcessLimitSettings {
    /// Returns a quota with these limits.
    pub(crate) fn quota(&self) -> ProcessQuota {
        let mut limits = ProcessLimits::default();
        let or_default = |limit: Option<NonZeroUsize>, default| limit.map_or(default, NonZeroUsize::get);
        limits.per_session = or_default(self.max_per_session, limits.per_session);
        limits.per_principal = or_default(self.max_per_principal, limits.per_principal);
        limits.total = or_default(self.max_total, limits.total);
        ProcessQuota::new(limits)
    }
}
