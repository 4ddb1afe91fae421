//! Which deliveries each server can use, and why it cannot use the others.

use serde::Serialize;
use valetkey::mcp::McpConfig;
use valetkey::mcp::child::Delivery;
use valetkey::mcp::config::{RemoteUrl, ServerConfig};
use valetkey::mcp::signing::routes::{Routes, ServiceRoute};

const DELIVERIES: [Delivery; 5] =
    [Delivery::Proxy, Delivery::Endpoint, Delivery::Env, Delivery::SigV4, Delivery::None];
/// Programs that run another program in a container.
pub(crate) const CONTAINER_PROGRAMS: [&str; 4] = ["docker", "podman", "finch", "nerdctl"];
/// Programs whose requests do not reach the proxy, by a part of their command line, and why.
const UNREACHED_PROGRAMS: [(&str, &str); 2] =
    [("aws-sigv4-proxy", SIGNS_ITSELF), ("mcp-proxy-for-aws", SIGNS_ITSELF)];
const SIGNS_ITSELF: &str = "it signs requests itself, and sends them to the host that it is given";
/// The longest list of operations that is shown completely.
const MAX_SHOWN_OPERATIONS: usize = 4;

/// The deliveries of one server.
#[derive(Debug, Serialize)]
pub(super) struct ServerDeliveries {
    server: String,
    #[serde(skip)]
    is_remote: bool,
    /// The delivery that the server has.
    delivery: Delivery,
    usable: Vec<Delivery>,
    unusable: Vec<UnusableDelivery>,
    /// AWS operations that the server cannot call with `proxy`, of the services that its command line names.
    unreachable: Vec<String>,
}

#[derive(Debug, Serialize)]
struct UnusableDelivery {
    delivery: Delivery,
    reason: String,
}

impl ServerDeliveries {
    /// Describes each server of a configuration, by name.
    pub(super) fn of_servers(config: &McpConfig) -> Vec<Self> {
        // The table is part of this program; without it, only the operations are missing.
        let routes = Routes::new().ok();
        config.servers.iter().map(|(name, server)| Self::new(name, server, routes.as_ref())).collect()
    }

    fn new(name: &str, server: &ServerConfig, routes: Option<&Routes>) -> Self {
        let named = named_services(server, routes);
        let (mut usable, mut unusable) = (Vec::new(), Vec::new());
        for delivery in DELIVERIES {
            match obstacle(server, delivery, &named) {
                None => usable.push(delivery),
                Some(reason) => unusable.push(UnusableDelivery { delivery, reason }),
            }
        }
        let mut unreachable: Vec<String> = match usable.contains(&Delivery::Proxy) {
            true => named.iter().flat_map(|service| unreachable_operations(service)).collect(),
            false => Vec::new(),
        };
        unreachable.sort();
        let is_remote = server.url.is_some();
        Self { server: name.to_owned(), is_remote, delivery: server.delivery, usable, unusable, unreachable }
    }

    /// Returns a line for a person.
    pub(super) fn line(&self) -> String {
        let names = |deliveries: &[Delivery]| {
            deliveries
                .iter()
                .map(|delivery| format!("`{}`", name_of(*delivery)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut line = format!(
            "server `{}`: credentials `{}`; it can use {}",
            self.server,
            name_of(self.delivery),
            names(&self.usable)
        );
        // That a process is not remote, and the reverse, is no news.
        let notable = self.unusable.iter().filter(|unusable| {
            (unusable.delivery == Delivery::Proxy && !self.is_remote) || unusable.delivery == self.delivery
        });
        for UnusableDelivery { delivery, reason } in notable {
            line.push_str(&format!("; not `{}`: {reason}", name_of(*delivery)));
        }
        if !self.unreachable.is_empty() && self.delivery == Delivery::Proxy {
            line.push_str(&format!("; with `proxy` it cannot call {}", self.unreachable.join(", ")));
        }
        line
    }
}

/// Returns why the server cannot use the delivery.
fn obstacle(server: &ServerConfig, delivery: Delivery, named: &[&ServiceRoute]) -> Option<String> {
    if let Some(url) = &server.url {
        return match delivery {
            Delivery::None => None,
            Delivery::SigV4 => sigv4_obstacle(server, url),
            _ => Some("the server is remote, and gets no credentials".to_owned()),
        };
    }
    let is_container = CONTAINER_PROGRAMS.contains(&program_of(server));
    match delivery {
        Delivery::SigV4 => Some("the server is a process, whose requests are its own".to_owned()),
        Delivery::Endpoint | Delivery::Proxy if is_container => {
            Some("a container does not reach the loopback address of this machine".to_owned())
        }
        Delivery::Proxy => sdk_obstacle(server, named),
        _ => None,
    }
}

fn sigv4_obstacle(server: &ServerConfig, url: &str) -> Option<String> {
    let is_known = server.signing_service.is_some() && server.signing_region.is_some();
    // A URL with references is complete only when the server starts.
    let names_scope =
        url.contains("${") || RemoteUrl::parse(url).is_ok_and(|url| url.signing_scope().is_some());
    (!is_known && !names_scope).then(|| {
        "its host is not one of AWS; set `service` and `region` if it accepts signed requests".to_owned()
    })
}

/// Returns why the server cannot use the proxy, as far as its configuration shows.
pub(crate) fn proxy_obstacle(server: &ServerConfig) -> Option<String> {
    let routes = Routes::new().ok();
    obstacle(server, Delivery::Proxy, &named_services(server, routes.as_ref()))
}

/// Returns the services that the command line names.
fn named_services<'r>(server: &ServerConfig, routes: Option<&'r Routes>) -> Vec<&'r ServiceRoute> {
    routes.into_iter().flat_map(Routes::services).filter(|service| is_named(server, service)).collect()
}

fn sdk_obstacle(server: &ServerConfig, named: &[&ServiceRoute]) -> Option<String> {
    let mut proxied = server.clone();
    proxied.delivery = Delivery::Proxy;
    if let Err(error) = proxied.check() {
        return Some(error.to_string());
    }
    let reason_of = |text: &str| UNREACHED_PROGRAMS.iter().find(|(name, _)| text.contains(name));
    if let Some((_, reason)) = command_texts(server).find_map(reason_of) {
        return Some((*reason).to_owned());
    }
    let service = named.iter().find(|service| service.host_prefixed().any(|name| name == "*"))?;
    Some(format!("SDKs do not send the requests of `{}` to a proxy", service.name()))
}

fn unreachable_operations(service: &ServiceRoute) -> Vec<String> {
    let operations: Vec<&str> = service.host_prefixed().collect();
    let name = service.name();
    if operations.len() > MAX_SHOWN_OPERATIONS {
        return vec![format!("{} operations of `{name}`, such as `{}`", operations.len(), operations[0])];
    }
    operations.iter().map(|operation| format!("`{name}:{operation}`")).collect()
}

/// Whether a word of the command line is the name of the service.
fn is_named(server: &ServerConfig, service: &ServiceRoute) -> bool {
    command_texts(server).any(|text| {
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| word == service.name())
    })
}

/// Returns the name of the program and its arguments.
fn command_texts(server: &ServerConfig) -> impl Iterator<Item = &str> {
    std::iter::once(program_of(server)).chain(server.args.iter().map(String::as_str))
}

fn program_of(server: &ServerConfig) -> &str {
    server.command.rsplit('/').next().unwrap_or_default()
}

/// Returns the word in the settings.
fn name_of(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Endpoint => "endpoint",
        Delivery::Env => "env",
        Delivery::Proxy => "proxy",
        Delivery::SigV4 => "sigv4",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: &str, args: &[&str], configure: impl FnOnce(&mut ServerConfig)) -> String {
        let mut server = ServerConfig::new(command);
        server.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        server.delivery = Delivery::Proxy;
        configure(&mut server);
        ServerDeliveries::new("s", &server, Some(&Routes::new().unwrap())).line()
    }

    #[test]
    fn deliveries_of_process_name_obstacles() {
        let all = "server `s`: credentials `proxy`; it can use `proxy`, `endpoint`, `env`, `none`";
        assert_eq!(line("uvx", &["awslabs.iam-mcp-server@latest"], |_| {}), all);
        let workflows = line("uvx", &["awslabs.stepfunctions-tool-mcp-server"], |_| {});
        assert!(
            workflows
                .ends_with("it cannot call `stepfunctions:StartSyncExecution`, `stepfunctions:TestState`")
        );
        let maps = line("uvx", &["awslabs.aws-location-mcp-server"], |_| {});
        assert!(maps.contains("not `proxy`: SDKs do not send the requests of `location`"), "{maps}");
        assert_eq!(line("uvx", &["awslabs.amazon-sns-sqs-mcp-server@latest"], |_| {}), all);
        let signing = line("uvx", &["mcp-proxy-for-aws@latest", "https://tools.example.com/mcp"], |_| {});
        assert!(signing.contains("not `proxy`: it signs requests itself"), "{signing}");
        let container = line("/usr/bin/docker", &["run", "iam"], |_| {});
        assert!(container.contains("can use `env`, `none`; not `proxy`: a container"), "{container}");
        let endpoint = line("iam", &[], |server| {
            server.env.insert("AWS_ENDPOINT_URL_S3".to_owned(), "http://127.0.0.1:1".to_owned());
        });
        assert!(endpoint.contains("not `proxy`: `env.AWS_ENDPOINT_URL_S3` selects"), "{endpoint}");
    }

    #[test]
    fn deliveries_of_remote_server_depend_on_its_host() {
        let remote = |url: &str| {
            let mut server = ServerConfig::remote(url);
            server.delivery = Delivery::SigV4;
            ServerDeliveries::new("s", &server, None).line()
        };
        let aws = remote("https://aws-mcp.us-east-1.api.aws/mcp");
        assert_eq!(aws, "server `s`: credentials `sigv4`; it can use `sigv4`, `none`");
        let other = remote("https://tools.example.com/mcp");
        assert!(other.contains("it can use `none`; not `sigv4`: its host is not one of AWS"), "{other}");
    }
}
