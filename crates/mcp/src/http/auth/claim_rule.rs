//! `ClaimRule`: which callers of an issuer are accepted without being listed one by one.

use serde_json::Value;
use valetkey_core::{Error, Result};

use super::claims::Claims;

/// Conditions on the claims of a token. The name of the rule reaches the
/// [`SessionFactory`](crate::http::SessionFactory), which can give its callers accounts.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::{ClaimRule, JwtIssuer, StaticJwks};
///
/// let keys = StaticJwks::new(br#"{"keys": []}"#.to_vec());
/// let issuer = JwtIssuer::builder("https://login.example.com", keys)
///     .name("okta")
///     .audience("https://mcp.example.com/mcp")
///     .rule(ClaimRule::new("engineers").claim("groups", "aws-engineers"))
///     .build()?;
/// # drop(issuer);
/// # Ok::<(), valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClaimRule {
    pub(super) name: String,
    conditions: Vec<(String, Value)>,
}

impl ClaimRule {
    /// Creates a rule without conditions, to which at least one must be added.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), conditions: Vec::new() }
    }

    /// Requires that a claim equals `value`, or that it is an array that contains `value`. All conditions must hold.
    ///
    /// A name that begins with `/` is a JSON pointer (RFC 6901), such as `/realm_access/roles`. `value` is a string, a
    /// number or a boolean; values of different types are never equal.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.conditions.push((name.into(), value.into()));
        self
    }

    /// Fails for a rule that would accept every caller of the issuer, or none.
    pub(super) fn check(&self) -> Result<()> {
        if self.conditions.is_empty() {
            return Err(Error::invalid("claims", "must have a condition")
                .with_next_step("name a claim and the value that the callers of this rule have"));
        }
        let is_scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        if self.conditions.iter().all(|(name, value)| !name.is_empty() && is_scalar(value)) {
            return Ok(());
        }
        Err(Error::invalid("claims", "must be names of claims with a string, a number or a boolean each"))
    }

    /// Whether all conditions hold.
    pub(super) fn applies_to(&self, claims: &Claims) -> bool {
        let holds = |(name, expected): &(String, Value)| match claims.get(name) {
            Some(Value::Array(items)) => items.contains(expected),
            Some(value) => value == expected,
            None => false,
        };
        !self.conditions.is_empty() && self.conditions.iter().all(holds)
    }
}
