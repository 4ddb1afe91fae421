//! `OperationPattern`: a rule's `service:Operation`.

use valetkey_core::{Error, Result};

use crate::routes::{Protocol, Routes, ServiceRoute};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OperationPattern {
    pub(super) service: String,
    pub(super) operation: String,
}

impl OperationPattern {
    pub(super) fn parse(pattern: &str) -> Result<Self> {
        let (service, operation) = pattern
            .split_once(':')
            .filter(|(service, operation)| !service.is_empty() && !operation.is_empty())
            .ok_or_else(|| Error::invalid("rule", "must be `service:Operation`, as in `ecs:Describe*`"))?;
        let routes = Routes::new()?;
        let is_rest = |route: &ServiceRoute| {
            glob_matches(service, route.name())
                && matches!(route.protocol(), Protocol::RestJson | Protocol::RestXml)
        };
        if operation != "*" && routes.services().any(is_rest) {
            return Err(Error::invalid(
                "rule",
                "names an operation of a service whose requests do not name it",
            )
            .with_next_step("write `service:*`, and restrict the operations with a session policy"));
        }
        if !routes.services().any(|route| glob_matches(service, route.name())) {
            return Err(Error::invalid("rule", "names a service that valetkey does not know")
                .with_next_step("use the name that botocore gives the service"));
        }
        Ok(Self { service: service.to_owned(), operation: operation.to_owned() })
    }

    /// An operation that is not known matches only the pattern `*` of its service. The caller refuses such requests where a
    /// service names its operations.
    pub(super) fn matches(&self, service: &str, operation: Option<&str>) -> bool {
        let matches_operation =
            operation.map_or(self.operation == "*", |name| glob_matches(&self.operation, name));
        matches_operation && glob_matches(&self.service, service)
    }
}

/// Matches a whole text; `*` stands for any text.
pub(super) fn glob_matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            let Some(found) = rest.find(previous) else { return false };
            rest = &rest[found + previous.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}
