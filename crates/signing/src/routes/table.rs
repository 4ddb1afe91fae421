//! The entries of the table of endpoints.

use std::collections::HashMap;

use serde::Deserialize;

use super::EndpointVariant;

/// The content of `data/endpoints.json`.
#[derive(Deserialize)]
pub(super) struct Table {
    pub(super) partitions: HashMap<String, PartitionEntry>,
    pub(super) services: HashMap<String, ServiceEntry>,
}

/// The names that all hosts of a partition end in, and its regions.
#[derive(Deserialize)]
pub(super) struct PartitionEntry {
    pub(super) suffix: String,
    pub(super) dual: String,
    pub(super) regions: Vec<String>,
}

/// The patterns of one variant, by region, by partition, or `*`. A pattern may be followed by a signing region.
type Patterns = HashMap<String, Option<String>>;

/// A service as in the file.
#[derive(Deserialize)]
pub(super) struct ServiceEntry {
    id: String,
    protocol: Protocol,
    prefix: Option<String>,
    signing_name: Option<String>,
    #[serde(default)]
    host_prefixed: HostPrefixed,
    #[serde(default)]
    standard: Patterns,
    #[serde(default)]
    fips: Patterns,
    #[serde(default)]
    dual: Patterns,
    #[serde(default)]
    both: Patterns,
}

/// The operations that an SDK sends to a host with a prefix of its own, or that it has discovered: `"*"` for all of them, otherwise a list.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
enum HostPrefixed {
    Some(Vec<String>),
    All(String),
}

impl Default for HostPrefixed {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

/// The protocol of a service, which determines the form of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protocol {
    /// JSON; the operation is in the header `X-Amz-Target`.
    Json,
    /// JSON; the operation follows from method and path.
    RestJson,
    /// XML; the operation follows from method and path.
    RestXml,
    /// A form; the operation is the field `Action`. Responses are XML.
    Query,
    /// As `Query`, with other names in its errors.
    Ec2,
    /// CBOR; the operation is in the path.
    #[serde(rename = "smithy-rpc-v2-cbor")]
    RpcV2Cbor,
}

/// A service of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct ServiceRoute {
    name: String,
    id: String,
    protocol: Protocol,
    prefix: String,
    signing_name: String,
    host_prefixed: HostPrefixed,
    standard: Patterns,
    fips: Patterns,
    dual_stack: Patterns,
    fips_dual_stack: Patterns,
}

impl ServiceRoute {
    pub(super) fn new(name: String, entry: ServiceEntry) -> Self {
        Self {
            id: entry.id,
            protocol: entry.protocol,
            prefix: entry.prefix.unwrap_or_else(|| name.clone()),
            signing_name: entry.signing_name.unwrap_or_else(|| name.clone()),
            host_prefixed: entry.host_prefixed,
            standard: entry.standard,
            fips: entry.fips,
            dual_stack: entry.dual,
            fips_dual_stack: entry.both,
            name,
        }
    }

    /// Returns the name that botocore gives the service, such as `bedrock-runtime`. Rules use it too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the service's part of `AWS_ENDPOINT_URL_<SERVICE>`, such as `BEDROCK_RUNTIME`.
    #[must_use]
    pub fn variable_suffix(&self) -> String {
        self.id.replace([' ', '-'], "_").to_uppercase()
    }

    /// Returns the name in the credential scope of its requests.
    #[must_use]
    pub fn signing_name(&self) -> &str {
        &self.signing_name
    }

    /// Returns the first label of its usual host.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the protocol of its requests. Some services accept others as well.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Returns whether requests state their operation by method and path only.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::routes::Routes;
    ///
    /// let routes = Routes::new()?;
    /// let is_rest = |name: &str| routes.services().any(|service| service.name() == name && service.is_rest());
    /// assert!(is_rest("lambda") && !is_rest("dynamodb"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn is_rest(&self) -> bool {
        matches!(self.protocol, Protocol::RestJson | Protocol::RestXml)
    }

    /// Returns whether SDKs send `operation` to a host with a prefix of its own, or to one that they discover by another
    /// request, which they cannot do with the address of a proxy.
    #[must_use]
    pub fn has_host_prefix(&self, operation: &str) -> bool {
        self.host_prefixed().any(|name| name == "*" || name == operation)
    }

    /// Returns the operations for which [`has_host_prefix`](Self::has_host_prefix) holds; `*` for all of them.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::routes::Routes;
    ///
    /// let routes = Routes::new()?;
    /// let logs = routes.services().find(|service| service.name() == "logs").unwrap();
    /// assert_eq!(logs.host_prefixed().collect::<Vec<_>>(), ["GetLogObject", "StartLiveTail"]);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn host_prefixed(&self) -> impl Iterator<Item = &str> {
        let operations = match &self.host_prefixed {
            HostPrefixed::Some(operations) => operations.as_slice(),
            HostPrefixed::All(all) => std::slice::from_ref(all),
        };
        operations.iter().map(String::as_str)
    }

    /// Returns the most specific pattern, if the service has such an endpoint.
    pub(super) fn pattern(&self, variant: EndpointVariant, region: &str, partition: &str) -> Option<&str> {
        let (patterns, default) = match variant {
            EndpointVariant::Standard => (&self.standard, "{prefix}.{region}.{suffix}"),
            EndpointVariant::Fips => (&self.fips, "{prefix}-fips.{region}.{suffix}"),
            EndpointVariant::DualStack => (&self.dual_stack, "{prefix}.{region}.{dual}"),
            EndpointVariant::FipsDualStack => (&self.fips_dual_stack, "{prefix}-fips.{region}.{dual}"),
        };
        let entry = [region, partition, "*"].into_iter().find_map(|key| patterns.get(key));
        entry.map_or(Some(default), Option::as_deref)
    }
}
