//! Lists of the host's variables that children may inherit, and of those that no child of a session may have.

use std::ffi::OsStr;

use super::GATEWAY_MARKER;
use super::proxies::{NO_PROXY_VARS, PROXY_VARS};
use super::tools::TOOL_VARS;

/// Inherited if the host has them.
const BASELINE_VARS: &[&str] =
    &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", GATEWAY_MARKER];

/// The location of the host's certificates, without which services behind a private CA are unreachable.
const CERTIFICATE_VARS: &[&str] = &[
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
];

/// Each of these takes precedence over the container endpoint in some SDK, or selects credentials of a different
/// principal. A child with a session's credentials never gets them.
const BLOCKED_VARS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AMAZON_ACCESS_KEY_ID",
    "AMAZON_SECRET_ACCESS_KEY",
    "AMAZON_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_CREDENTIAL_PROFILES_FILE",
    "BOTO_CONFIG",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
];

/// Variables with this prefix are blocked too: one bearer token for each service.
const BLOCKED_VAR_PREFIX: &str = "AWS_BEARER_TOKEN_";

/// Variables with this prefix are the endpoints of AWS services.
const ENDPOINT_VAR_PREFIX: &str = "AWS_ENDPOINT_URL";

/// These change which endpoints are used.
const ENDPOINT_VARS: [&str; 3] =
    ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"];

/// The secrets among the blocked variables.
const SECRET_VARS: &[&str] = &[
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_SECRET_KEY",
    "AMAZON_SECRET_ACCESS_KEY",
    "AMAZON_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];

/// Whether a child inherits the variable without configuration.
pub(super) fn is_inheritable(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let lists = [BASELINE_VARS, &PROXY_VARS, &NO_PROXY_VARS, CERTIFICATE_VARS, TOOL_VARS];
    lists.iter().any(|list| list.contains(&name)) || name.starts_with(ENDPOINT_VAR_PREFIX)
}

/// Whether AWS SDKs read from the variable where to send requests. FIPS and dual-stack settings are among these, because
/// SDKs reject them beside the address of a proxy.
pub(crate) fn selects_endpoint(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(ENDPOINT_VAR_PREFIX) || ENDPOINT_VARS.contains(&name))
}

/// Whether the variable decides how valetkey itself reaches AWS services: their endpoints, and the proxy before them.
pub(super) fn selects_upstream(name: &OsStr) -> bool {
    let is_proxy = |name: &str| PROXY_VARS.contains(&name) || NO_PROXY_VARS.contains(&name);
    selects_endpoint(name) || name.to_str().is_some_and(is_proxy)
}

/// Whether the variable is an AWS secret.
pub(super) fn is_secret_var(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| SECRET_VARS.contains(&name) || name.starts_with(BLOCKED_VAR_PREFIX))
}

/// Whether the variable would give a program credentials other than its session's. A child that is given a session's
/// credentials never inherits such a variable, and cannot be configured with one.
///
/// # Examples
/// ```
/// use std::ffi::OsStr;
/// use valetkey_mcp::child::overrides_credentials;
///
/// assert!(overrides_credentials(OsStr::new("AWS_PROFILE")));
/// assert!(overrides_credentials(OsStr::new("AWS_BEARER_TOKEN_BEDROCK")));
/// assert!(!overrides_credentials(OsStr::new("AWS_REGION")));
/// ```
#[must_use]
pub fn overrides_credentials(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| BLOCKED_VARS.contains(&name) || name.starts_with(BLOCKED_VAR_PREFIX))
}
