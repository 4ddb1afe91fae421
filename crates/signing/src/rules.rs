//! `Rules`: which operations and regions the requests of a placeholder may use.
//!
//! An operation is what the proxy can see in a request; it is not always the action of IAM policies. Rules complement
//! session policies, which AWS enforces.

mod pattern;

use valetkey_core::Result;

use crate::refusal::Refusal;
use crate::routes::ServiceRoute;
use pattern::{OperationPattern, glob_matches};

/// Operations of STS that issue keys which work without the proxy.
const KEY_OPERATIONS: [&str; 3] = ["GetSessionToken", "AssumeRole*", "GetFederationToken"];

/// Limits the requests of a placeholder by operation and by region.
///
/// A pattern is `service:Operation`, where `*` stands for any text; the service is the name that botocore gives it. A
/// denial takes precedence. If there are `allow` patterns, everything else is refused. Operations of STS that issue keys
/// (`AssumeRole*`, `GetSessionToken`, `GetFederationToken`) are refused unless a pattern that names `sts` allows them.
///
/// # Examples
/// ```
/// use valetkey_signing::Rules;
///
/// let rules = Rules::default().allow("ecs:Describe*")?.allow("s3:*")?.deny("sts:*")?.region("eu-west-1");
/// // Paths of S3 do not name their operation, so that the proxy could not apply this rule.
/// assert!(Rules::default().deny("s3:DeleteObject").is_err());
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    allow: Vec<OperationPattern>,
    deny: Vec<OperationPattern>,
    regions: Vec<String>,
}

impl Rules {
    /// Adds a pattern of operations that are permitted.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::Rules;
    ///
    /// let rules = Rules::default().allow("ecs:Describe*")?.allow("ecs:List*")?;
    /// let error = Rules::default().allow("DescribeTasks").unwrap_err();
    /// assert_eq!(error.field(), Some("rule"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    /// # Errors
    /// `Invalid` for a pattern without a service, and for one that names operations of a service whose requests do not
    /// name them.
    pub fn allow(mut self, pattern: &str) -> Result<Self> {
        self.allow.push(OperationPattern::parse(pattern)?);
        Ok(self)
    }

    /// Adds a pattern of operations that are refused.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::Rules;
    ///
    /// let rules = Rules::default().deny("dynamodb:Delete*")?.deny("iam:*")?;
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    /// # Errors
    /// As [`allow`](Self::allow).
    pub fn deny(mut self, pattern: &str) -> Result<Self> {
        self.deny.push(OperationPattern::parse(pattern)?);
        Ok(self)
    }

    /// Adds a region. With one or more, requests to all other regions are refused.
    ///
    /// The region is that of the request, also for services that have one host for all regions.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::Rules;
    ///
    /// let rules = Rules::default().region("eu-west-1").region("eu-central-1");
    /// ```
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.regions.push(region.into());
        self
    }

    /// Decides on a request before it is signed.
    pub(crate) fn check(
        &self,
        service: &ServiceRoute,
        operation: Option<&str>,
        region: &str,
    ) -> std::result::Result<(), Refusal> {
        if !self.regions.is_empty() && !self.regions.iter().any(|allowed| allowed == region) {
            return Err(Refusal::denied("a rule does not permit this region; use a permitted one"));
        }
        let matches = |pattern: &&OperationPattern| pattern.matches(service.name(), operation);
        if let Some(pattern) = self.deny.iter().find(matches) {
            let rule =
                format!("the rule deny `{}:{}` refuses this request", pattern.service, pattern.operation);
            return Err(Refusal::denied(rule));
        }
        let allowed = self.allow.iter().find(matches);
        if !self.allow.is_empty() && allowed.is_none() {
            return Err(Refusal::denied("no `allow` rule permits this operation; add one to permit it"));
        }
        let issues_keys = service.name() == "sts"
            && operation
                .is_none_or(|operation| KEY_OPERATIONS.iter().any(|glob| glob_matches(glob, operation)));
        let names_sts = self.allow.iter().any(|pattern| pattern.service == "sts" && matches(&pattern));
        if issues_keys && !names_sts {
            return Err(Refusal::denied(
                "operations that issue keys are refused; a rule allow `sts:…` permits them",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Routes;

    fn is_permitted(rules: &Rules, service: &str, operation: Option<&str>) -> bool {
        let routes = Routes::new().unwrap();
        let service = routes.services().find(|route| route.name() == service).unwrap();
        rules.check(service, operation, "eu-west-1").is_ok()
    }

    #[test]
    fn glob_matches_whole_text_only() {
        for (glob, text) in [("*", ""), ("a*c", "abc"), ("a*b*c", "aXbYc"), ("Describe*", "DescribeTasks")] {
            assert!(glob_matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("a", "ab"), ("a*c", "ab"), ("a*ba", "aba b"), ("ab*ba", "aba"), ("", "a")] {
            assert!(!glob_matches(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn check_sts_keys_need_rule_that_names_sts() {
        let everything = Rules::default().allow("*:*").unwrap();
        let named = Rules::default().allow("sts:Assume*").unwrap();
        for operation in ["AssumeRole", "AssumeRoleWithSAML", "GetSessionToken", "GetFederationToken"] {
            assert!(!is_permitted(&Rules::default(), "sts", Some(operation)));
            assert!(!is_permitted(&everything, "sts", Some(operation)));
        }
        assert!(!is_permitted(&Rules::default(), "sts", None));
        assert!(
            is_permitted(&named, "sts", Some("AssumeRole"))
                && !is_permitted(&named, "sts", Some("GetSessionToken"))
        );
        assert!(is_permitted(&Rules::default(), "sts", Some("GetCallerIdentity")));
    }

    #[test]
    fn check_denial_takes_precedence_over_permission() {
        let rules = Rules::default().allow("dynamodb:*").unwrap().deny("dynamodb:Delete*").unwrap();
        assert!(is_permitted(&rules, "dynamodb", Some("GetItem")));
        assert!(
            !is_permitted(&rules, "dynamodb", Some("DeleteItem"))
                && !is_permitted(&rules, "sqs", Some("SendMessage"))
        );
        assert!(!is_permitted(&Rules::default().region("us-east-1"), "sqs", Some("SendMessage")));
    }

    #[test]
    fn parse_rule_that_cannot_apply_is_error() {
        for wrong in ["s3:GetObject", "*:Get*", "none:*", "s3", ":x", "s3:"] {
            assert!(Rules::default().deny(wrong).is_err(), "{wrong}");
        }
    }
}
