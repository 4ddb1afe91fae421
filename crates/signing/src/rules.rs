//! `Rules`: which operations and regions the requests of a placeholder may use.
//!
//! An operation is what the proxy can see in a request; it is not always the action of IAM policies. Rules complement
//! session policies, which AWS enforces.

mod pattern;
mod rate;
mod read_only;

use std::num::NonZeroU32;
use std::sync::Arc;

use valetkey_core::Result;

use crate::operation::RequestedOperation;
use crate::refusal::Refusal;
use crate::routes::Routes;
use pattern::{OperationPattern, glob_matches};
pub(crate) use rate::RateLimiter;
use read_only::is_read;

/// Operations of STS that issue keys which work without the proxy.
const KEY_OPERATIONS: [&str; 3] = ["Assume*", "Get*Token", "Get*Credentials"];

/// Limits the requests of a placeholder by operation and by region.
///
/// A pattern is `service:Operation`, where `*` stands for any text; the service is the name that botocore gives it. A
/// denial takes precedence. If there are `allow` patterns, everything else is refused. Operations of STS that issue keys
/// (`Assume*`, `Get*Token`, `Get*Credentials`) are refused unless a pattern that names `sts` allows them.
///
/// | rule | request of a known operation | of an operation that is not known |
/// |---|---|---|
/// | `deny` | refused if a pattern includes it | refused if a pattern is for its service |
/// | `allow` | permitted if a pattern includes it | permitted if a pattern is `service:*` |
/// | `read_only` | permitted if its name and method are those of a read | refused |
///
/// # Examples
/// ```
/// use valetkey_signing::Rules;
///
/// let rules = Rules::default().allow("ecs:Describe*")?.allow("s3:GetObject")?.deny("sts:*")?.region("eu-west-1");
/// // The API has no such operation.
/// assert!(Rules::default().deny("s3:RemoveObject").is_err());
/// # Ok::<_, valetkey_core::Error>(())
/// ```
///
/// The operation of a REST service, such as S3 or Lambda, follows from method and path. A request that may be several
/// operations must be permitted as each of them. One whose operation is not known is refused if a rule names operations of
/// its service.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    allow: Vec<OperationPattern>,
    deny: Vec<OperationPattern>,
    regions: Vec<String>,
    is_read_only: bool,
    max_requests_per_second: Option<NonZeroU32>,
    /// The table that patterns are checked with, once there is one.
    routes: Option<Arc<Routes>>,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let patterns = |rules: &Self| (rules.is_read_only, rules.max_requests_per_second);
        self.allow == other.allow
            && self.deny == other.deny
            && self.regions == other.regions
            && patterns(self) == patterns(other)
    }
}

impl Eq for Rules {}

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
    /// `Invalid` for a pattern without a service, and for one that includes no operation of a REST service.
    pub fn allow(mut self, pattern: &str) -> Result<Self> {
        let pattern = OperationPattern::parse(pattern, self.routes()?)?;
        self.allow.push(pattern);
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
        let pattern = OperationPattern::parse(pattern, self.routes()?)?;
        self.deny.push(pattern);
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

    /// Refuses everything but operations that read. It applies in addition to the patterns.
    ///
    /// Whether an operation reads follows from its name, such as `Get*`, `List*` and `Describe*`; all others count as writes,
    /// and so do those that issue credentials. A session policy has finer distinctions.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::Rules;
    ///
    /// let rules = Rules::default().allow("s3:*")?.read_only(true);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn read_only(mut self, is_read_only: bool) -> Self {
        self.is_read_only = is_read_only;
        self
    }

    /// Limits the requests of the placeholder in a second. Further ones are throttled, so that SDKs send them again later.
    ///
    /// The placeholder may save up the requests of one second. Only requests that the other rules permit count. `None` is no
    /// limit, which is the default.
    ///
    /// # Examples
    /// ```
    /// use std::num::NonZeroU32;
    /// use valetkey_signing::Rules;
    ///
    /// let rules = Rules::default().max_requests_per_second(NonZeroU32::new(20));
    /// ```
    #[must_use]
    pub fn max_requests_per_second(mut self, limit: impl Into<Option<NonZeroU32>>) -> Self {
        self.max_requests_per_second = limit.into();
        self
    }

    pub(crate) fn rate_limit(&self) -> Option<NonZeroU32> {
        self.max_requests_per_second
    }

    /// Reads the table with the first pattern.
    fn routes(&mut self) -> Result<&Routes> {
        let routes = match self.routes.take() {
            Some(routes) => routes,
            None => Arc::new(Routes::new()?),
        };
        Ok(self.routes.insert(routes))
    }

    /// Decides on a request before it is signed.
    pub(crate) fn check(
        &self,
        operation: &RequestedOperation<'_>,
        region: &str,
    ) -> std::result::Result<(), Refusal> {
        if !self.regions.is_empty() && !self.regions.iter().any(|allowed| allowed == region) {
            return Err(Refusal::denied("a rule does not permit this region; use a permitted one"));
        }
        if operation.names.is_empty() {
            return self.check_unknown(operation);
        }
        operation.names.iter().try_for_each(|name| self.check_name(operation, name))
    }

    fn check_name(&self, operation: &RequestedOperation<'_>, name: &str) -> std::result::Result<(), Refusal> {
        let service = operation.service.name();
        let matches = |pattern: &&OperationPattern| pattern.matches(service, Some(name));
        if let Some(pattern) = self.deny.iter().find(matches) {
            let rule =
                format!("the rule deny `{}:{}` refuses this request", pattern.service, pattern.operation);
            return Err(Refusal::denied(rule));
        }
        if self.is_read_only && !is_read(name, operation.method) {
            return Err(Refusal::denied("the rule `read_only` refuses operations that may write"));
        }
        if !self.allow.is_empty() && !self.allow.iter().any(|pattern| matches(&pattern)) {
            return Err(not_allowed());
        }
        let issues_keys = service == "sts" && KEY_OPERATIONS.iter().any(|glob| glob_matches(glob, name));
        let names_sts = self.allow.iter().any(|pattern| pattern.service == "sts" && matches(&pattern));
        if issues_keys && !names_sts {
            return Err(Refusal::denied(
                "operations that issue keys are refused; a rule allow `sts:…` permits them",
            ));
        }
        Ok(())
    }

    /// Decides on a request of a REST service that is no operation of the table. It is permitted only where no rule depends
    /// on the operation.
    fn check_unknown(&self, operation: &RequestedOperation<'_>) -> std::result::Result<(), Refusal> {
        let service = operation.service.name();
        if let Some(pattern) = self.deny.iter().find(|pattern| pattern.has_service(service)) {
            let rule = format!("deny `{}:{}`", pattern.service, pattern.operation);
            return Err(Refusal::denied(format!(
                "the operation is not known, and the rule {rule} may refuse it"
            )));
        }
        if self.is_read_only {
            return Err(Refusal::denied(
                "the rule `read_only` refuses requests whose operation is not known",
            ));
        }
        if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.matches(service, None)) {
            return Err(not_allowed());
        }
        Ok(())
    }
}

fn not_allowed() -> Refusal {
    Refusal::denied("no `allow` rule permits this operation; add one to permit it")
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn is_permitted(rules: &Rules, service: &str, operation: Option<&str>) -> bool {
        let routes = Routes::new().unwrap();
        let service = routes.services().find(|route| route.name() == service).unwrap();
        let names = operation.map(str::to_owned).into_iter().collect();
        let requested = RequestedOperation { service, names, method: &Method::POST };
        rules.check(&requested, "eu-west-1").is_ok()
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
        for operation in [
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoot",
            "GetSessionToken",
            "GetFederationToken",
            "GetScopedCredentials",
        ] {
            assert!(!is_permitted(&Rules::default(), "sts", Some(operation)));
            assert!(!is_permitted(&everything, "sts", Some(operation)));
        }
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
        for wrong in ["s3:GetObjct", "none:*", "s3", ":x", "s3:"] {
            assert!(Rules::default().deny(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn check_operation_of_rest_service_follows_rules() {
        let rules = Rules::default().allow("s3:*Object").unwrap().deny("s3:Delete*").unwrap();
        assert!(is_permitted(&rules, "s3", Some("GetObject")));
        assert!(
            !is_permitted(&rules, "s3", Some("ListBuckets"))
                && !is_permitted(&rules, "s3", Some("DeleteObject"))
        );
        assert!(!is_permitted(&rules, "s3", None), "an unknown operation may be a denied one");
        assert!(is_permitted(&Rules::default().allow("s3:*").unwrap(), "s3", None));
        assert!(!is_permitted(&Rules::default().deny("*:Delete*").unwrap(), "lambda", None));
    }

    #[test]
    fn check_ambiguous_request_must_be_permitted_as_each() {
        let routes = Routes::new().unwrap();
        let service = routes.services().find(|route| route.name() == "s3").unwrap();
        let names = ["GetBucketAcl", "GetBucketPolicy"].map(str::to_owned).into();
        let requested = RequestedOperation { service, names, method: &Method::GET };
        let one = Rules::default().allow("s3:GetBucketAcl").unwrap();
        assert!(one.check(&requested, "eu-west-1").is_err());
        assert!(one.allow("s3:GetBucketPolicy").unwrap().check(&requested, "eu-west-1").is_ok());
    }

    #[test]
    fn check_read_only_refuses_writes_and_unknown_operations() {
        let rules = Rules::default().read_only(true);
        assert!(
            is_permitted(&rules, "s3", Some("GetObject")) && is_permitted(&rules, "dynamodb", Some("Query"))
        );
        assert!(!is_permitted(&rules, "s3", Some("PutObject")) && !is_permitted(&rules, "s3", None));
    }
}
