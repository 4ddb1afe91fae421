//! `LogLevel`: the severity of a log message, as in RFC 5424.

use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

use crate::meta::LOG_LEVEL;

/// The levels, least severe first.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// A level. A greater level is more severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogLevel(u8);

impl LogLevel {
    /// Returns the level of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let found = LEVELS.iter().zip(0..).find(|(level, _)| **level == name);
        found.map(|(_, level)| Self(level))
    }

    pub(crate) fn name(self) -> &'static str {
        LEVELS.get(usize::from(self.0)).copied().unwrap_or("debug")
    }
}

/// The level that a client has chosen, if any.
#[derive(Debug)]
pub(crate) struct ChosenLevel(AtomicU8);

impl Default for ChosenLevel {
    fn default() -> Self {
        Self(AtomicU8::new(u8::MAX))
    }
}

impl ChosenLevel {
    /// Returns the level that the metadata of a modern request choose.
    pub(crate) fn of_request(params: Option<&Value>) -> Self {
        let name = params.and_then(|params| params.get("_meta")?.get(LOG_LEVEL)?.as_str());
        let chosen = Self::default();
        if let Some(level) = name.and_then(LogLevel::parse) {
            chosen.set(level);
        }
        chosen
    }

    pub(crate) fn get(&self) -> Option<LogLevel> {
        Some(LogLevel(self.0.load(Ordering::Acquire))).filter(|level| level.0 != u8::MAX)
    }

    pub(crate) fn set(&self, level: LogLevel) {
        self.0.store(level.0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_level_orders_by_severity() {
        let parsed: Vec<_> = LEVELS.iter().map(|name| LogLevel::parse(name).unwrap()).collect();
        assert!(parsed.is_sorted());
        assert!(parsed.iter().zip(LEVELS).all(|(level, name)| level.name() == name));
        assert_eq!(LogLevel::parse("verbose"), None);
        let chosen = ChosenLevel::default();
        assert_eq!(chosen.get(), None);
        chosen.set(parsed[4]);
        assert_eq!(chosen.get().map(LogLevel::name), Some("error"));
    }
}
