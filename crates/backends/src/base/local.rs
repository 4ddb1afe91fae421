//! Which URLs lead to this machine or its link: addresses that are never reached through a proxy.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;

/// Whether the host of a URL is `localhost`, a loopback address, a link-local one (the metadata service and the
/// container agents listen there), or in the range that AWS gives the same services in IPv6.
pub(super) fn is_local(url: &str) -> bool {
    let uri = url.parse::<Uri>();
    let Some(host) = uri.as_ref().ok().and_then(Uri::host) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    match host.parse() {
        Ok(address) => is_local_address(address),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn is_local_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unicast_link_local() || is_instance_service(address)
        }
    }
}

/// `fd00:ec2::254` (instance metadata) and `fd00:ec2::23` (pod identity).
fn is_instance_service(address: Ipv6Addr) -> bool {
    address.segments()[..2] == [0xfd00, 0x0ec2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_local_loopback_or_link_local_url_is_true() {
        for url in [
            "http://127.0.0.1:8080/creds",
            "http://127.9.9.9/",
            "http://localhost/x",
            "http://LOCALHOST.:1/",
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials",
            "http://169.254.170.23/v1/credentials",
            "http://[::1]:8080/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/latest/",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            assert!(is_local(url), "{url}");
        }
    }

    #[test]
    fn is_local_other_url_is_false() {
        for url in [
            "https://sts.us-east-1.amazonaws.com/",
            "http://10.0.0.1/",
            "http://192.168.1.1/",
            "http://[fd00:ec3::254]/",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "http://169.253.1.1/",
            "http://user@example.com:1/127.0.0.1",
            "not a url",
            "",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
