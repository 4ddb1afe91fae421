//! `Routes`: which host serves a service in a region, from a fixed table.
//!
//! A request names its service and its region in the credential scope. The table is the only source of hosts: a text in a
//! request selects an entry, and is never part of a host. `cargo xtask endpoints` writes the table from the service
//! metadata that botocore publishes.

mod operations;
mod table;

use std::collections::HashMap;
use std::fmt;

use http::request::Parts;
use valetkey_core::{Error, ErrorKind, Result};

use operations::RestOperations;
use table::{PartitionEntry, Table};
pub use table::{Protocol, ServiceRoute};

/// The kind of endpoint: FIPS, dual stack, both or neither, as `AWS_USE_FIPS_ENDPOINT` and
/// `AWS_USE_DUALSTACK_ENDPOINT` select it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointVariant {
    /// Neither FIPS nor dual stack.
    #[default]
    Standard,
    /// FIPS 140 validated cryptography.
    Fips,
    /// Addresses of IPv4 and IPv6.
    DualStack,
    /// FIPS and dual stack.
    FipsDualStack,
}

/// The reason why the table has no host for a request.
///
/// No reason repeats a text of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// No service has this signing name, or this name in the path.
    #[error("valetkey knows no such service; use the delivery `endpoint` for programs that need it")]
    UnknownService,
    /// The region is in no partition.
    #[error("valetkey knows no such region; check AWS_REGION")]
    UnknownRegion,
    /// Several services share the signing name, and the path names none of them.
    #[error(
        "several services sign with this name ({0}); set AWS_ENDPOINT_URL_<SERVICE> as valetkey provides it, so that \
         the path names the service"
    )]
    AmbiguousService(String),
    /// The service that the path names does not sign with this name.
    #[error("the service in the path does not sign with the name in the credential scope")]
    OtherSigningName,
    /// The service has no endpoint of this kind in this region.
    #[error(
        "the service has no endpoint of this kind in this region; choose another region, or unset FIPS or dual stack"
    )]
    NoEndpoint,
}

/// The host that a request goes to, and the names that it is signed with.
///
/// # Examples
/// ```
/// use valetkey_signing::routes::{EndpointVariant, Routes};
///
/// let routes = Routes::new()?;
/// let route = routes.find("iam", "eu-west-1", Some("iam"), EndpointVariant::Standard)?;
/// assert_eq!((route.host(), route.signing_region()), ("iam.amazonaws.com", "us-east-1"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<'a> {
    service: &'a ServiceRoute,
    host: String,
    signing_region: String,
}

impl<'a> Route<'a> {
    /// Returns the service.
    #[must_use]
    pub fn service(&self) -> &'a ServiceRoute {
        self.service
    }

    /// Returns the host, without scheme and port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the region that the service verifies signatures with. A global service has one for each partition.
    #[must_use]
    pub fn signing_region(&self) -> &str {
        &self.signing_region
    }
}

/// The services and regions of AWS, with their hosts.
///
/// # Examples
/// ```
/// use valetkey_signing::routes::{EndpointVariant, RouteError, Routes};
///
/// let routes = Routes::new()?;
/// let route = routes.find("sqs", "eu-west-1", None, EndpointVariant::Standard)?;
/// assert_eq!(route.host(), "sqs.eu-west-1.amazonaws.com");
///
/// let refused = routes.find("sqs", "attacker.example/", None, EndpointVariant::Standard);
/// assert_eq!(refused.unwrap_err(), RouteError::UnknownRegion);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Routes {
    partitions: HashMap<String, PartitionEntry>,
    /// The partition of each region.
    regions: HashMap<String, String>,
    services: HashMap<String, ServiceRoute>,
    /// The services of each signing name, sorted.
    by_signing_name: HashMap<String, Vec<String>>,
    operations: RestOperations,
}

/// The one service that requests reach without its name in the path, although another one has its signing name.
const S3: &str = "s3";

impl Routes {
    /// Reads the table of this release.
    ///
    /// # Errors
    /// `Internal` if the table is malformed, which is a bug.
    pub fn new() -> Result<Self> {
        let table: Table = serde_json::from_str(include_str!("../data/endpoints.json")).map_err(|error| {
            Error::new(ErrorKind::Internal, "the table of endpoints is malformed").with_source(error)
        })?;
        let mut regions = HashMap::new();
        for (name, partition) in &table.partitions {
            regions.extend(partition.regions.iter().map(|region| (region.clone(), name.clone())));
        }
        let mut by_signing_name: HashMap<String, Vec<String>> = HashMap::new();
        let mut services = HashMap::new();
        for (name, entry) in table.services {
            let service = ServiceRoute::new(name.clone(), entry);
            by_signing_name.entry(service.signing_name().to_owned()).or_default().push(name.clone());
            services.insert(name, service);
        }
        by_signing_name.values_mut().for_each(|names| names.sort());
        Ok(Self {
            partitions: table.partitions,
            regions,
            services,
            by_signing_name,
            operations: RestOperations::new(),
        })
    }

    /// Finds the host for a signing name and a region of a credential scope. `service` is the service that the path of the
    /// request names; it is required where several services share the signing name, except for S3.
    ///
    /// # Errors
    /// The reason why there is no host; see [`RouteError`].
    pub fn find(
        &self,
        signing_name: &str,
        region: &str,
        service: Option<&str>,
        variant: EndpointVariant,
    ) -> std::result::Result<Route<'_>, RouteError> {
        let service = self.find_service(signing_name, service)?;
        // The region of the route is the table's own text, equal to the text of the request.
        let (region, partition_name) = self.regions.get_key_value(region).ok_or(RouteError::UnknownRegion)?;
        let partition = self.partitions.get(partition_name).ok_or(RouteError::UnknownRegion)?;
        let pattern = service.pattern(variant, region, partition_name).ok_or(RouteError::NoEndpoint)?;
        let (host, signing_region) = match pattern.split_once(' ') {
            Some((host, signing_region)) => (host, signing_region),
            None => (pattern, region.as_str()),
        };
        let host = host
            .replace("{prefix}", service.prefix())
            .replace("{region}", signing_region)
            .replace("{suffix}", &partition.suffix)
            .replace("{dual}", &partition.dual);
        Ok(Route { service, host, signing_region: signing_region.to_owned() })
    }

    /// Returns the services, in no order.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::routes::Routes;
    ///
    /// let routes = Routes::new()?;
    /// let states = routes.services().find(|service| service.name() == "stepfunctions").unwrap();
    /// assert_eq!((states.signing_name(), states.variable_suffix().as_str()), ("states", "SFN"));
    /// assert!(states.has_host_prefix("StartSyncExecution"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn services(&self) -> impl Iterator<Item = &ServiceRoute> {
        self.services.values()
    }

    /// Returns the regions of all partitions, in no order.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }

    /// Returns whether several services sign with the name of `service`, so that a request has to name it in the path, except
    /// one to S3.
    #[must_use]
    pub fn is_shared(&self, service: &ServiceRoute) -> bool {
        self.by_signing_name.get(service.signing_name()).is_some_and(|names| names.len() > 1)
    }

    /// Returns the names of the operations of a service whose requests name them by method and path; of other services none.
    ///
    /// # Examples
    /// ```
    /// use valetkey_signing::routes::Routes;
    ///
    /// let routes = Routes::new()?;
    /// assert!(routes.rest_operations("s3").any(|name| name == "GetObject"));
    /// assert_eq!(routes.rest_operations("dynamodb").count(), 0);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn rest_operations(&self, service: &str) -> impl Iterator<Item = &'static str> {
        self.operations.names(service)
    }

    /// Returns the operations that a request to a path of the service may be; see [`RestOperations::find`].
    pub(crate) fn find_rest_operations(
        &self,
        service: &ServiceRoute,
        parts: &Parts,
        path: &str,
    ) -> Vec<&'static str> {
        self.operations.find(service.name(), parts, path)
    }

    /// Returns the protocol of a service; where the path does not name it, that of the first one with the signing name.
    pub(crate) fn protocol(&self, signing_name: &str, service: Option<&str>) -> Option<Protocol> {
        let named = service.and_then(|service| self.services.get(service));
        let first = || self.services.get(self.by_signing_name.get(signing_name)?.first()?);
        named.or_else(first).map(ServiceRoute::protocol)
    }

    fn find_service(
        &self,
        signing_name: &str,
        service: Option<&str>,
    ) -> std::result::Result<&ServiceRoute, RouteError> {
        let names = self.by_signing_name.get(signing_name).ok_or(RouteError::UnknownService)?;
        let name = match (service, names.as_slice()) {
            (Some(service), names) if names.iter().any(|name| name == service) => service,
            (Some(service), _) if self.services.contains_key(service) => {
                return Err(RouteError::OtherSigningName);
            }
            (Some(_), _) => return Err(RouteError::UnknownService),
            (None, [name]) => name,
            // Many clients are made for S3 alone, and accept no path in an endpoint.
            (None, _) if signing_name == S3 => S3,
            (None, names) => return Err(RouteError::AmbiguousService(names.join(", "))),
        };
        self.services.get(name).ok_or(RouteError::UnknownService)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("services", &self.services.len())
            .field("regions", &self.regions.len())
            .finish_non_exhaustive()
    }
}
