//! `OperationPattern`: a rule's `service:Operation`.

use valetkey_core::{Error, Result};

use crate::routes::{Routes, ServiceRoute};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OperationPattern {
    pub(super) service: String,
    pub(super) operation: String,
}

impl OperationPattern {
    pub(super) fn parse(pattern: &str, routes: &Routes) -> Result<Self> {
        let (service, operation) = pattern
            .split_once(':')
            .filter(|(service, operation)| !service.is_empty() && !operation.is_empty())
            .ok_or_else(|| Error::invalid("rule", "must be `service:Operation`, as in `ecs:Describe*`"))?;
        let mut services = routes.services().filter(|route| glob_matches(service, route.name())).peekable();
        if services.peek().is_none() {
            return Err(Error::invalid("rule", "names a service that valetkey does not know")
                .with_next_step("use the name that botocore gives the service"));
        }
        let may_have = |route: &ServiceRoute| {
            !route.is_rest() || routes.rest_operations(route.name()).any(|name| glob_matches(operation, name))
        };
        if operation != "*" && !services.any(may_have) {
            return Err(Error::invalid("rule", "names no operation of the service").with_next_step(
                "use the names of the API, which may differ from the actions of IAM policies",
            ));
        }
        Ok(Self { service: service.to_owned(), operation: operation.to_owned() })
    }

    /// Returns whether the pattern is for this service.
    pub(super) fn has_service(&self, service: &str) -> bool {
        glob_matches(&self.service, service)
    }

    /// Returns whether the pattern includes an operation. One that is not known is included by the pattern `*` only.
    pub(super) fn matches(&self, service: &str, operation: Option<&str>) -> bool {
        let has_operation =
            operation.map_or(self.operation == "*", |name| glob_matches(&self.operation, name));
        has_operation && self.has_service(service)
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
