//! Proxies: a child uses those of its host, except for loopback addresses.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

pub(super) const PROXY_VARS: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Programs differ in which of these they read; some use the first that is set.
pub(super) const NO_PROXY_VARS: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// The credential endpoint listens on the first. A proxy cannot reach it, and would receive its token.
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// Adds the loopback addresses to the proxy exceptions of a child that has a proxy.
pub(super) fn bypass_proxy_on_loopback(variables: &mut BTreeMap<OsString, OsString>) {
    if !PROXY_VARS.iter().any(|name| variables.contains_key(OsStr::new(name))) {
        return;
    }
    let [upper, lower] = NO_PROXY_VARS.map(|name| variables.get(OsStr::new(name)).cloned());
    let either = upper.clone().or_else(|| lower.clone()).unwrap_or_default();
    for (name, own) in NO_PROXY_VARS.into_iter().zip([upper, lower]) {
        // If only one spelling is set, the other one gets the same entries, so that it does not hide them.
        let list = own.unwrap_or_else(|| either.clone());
        variables.insert(name.into(), append_loopback_hosts(list));
    }
}

fn append_loopback_hosts(mut list: OsString) -> OsString {
    let text = list.to_string_lossy().into_owned();
    let has = |host: &str| text.split([',', ' ']).any(|entry| entry == host || entry == "*");
    for host in LOOPBACK_HOSTS.into_iter().filter(|host| !has(host)) {
        if !list.is_empty() {
            list.push(",");
        }
        list.push(host);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_proxy_values(given: &[(&str, &str)]) -> [Option<String>; 2] {
        let mut variables = given.iter().map(|(name, value)| (name.into(), value.into())).collect();
        bypass_proxy_on_loopback(&mut variables);
        NO_PROXY_VARS.map(|name| Some(variables.get(OsStr::new(name))?.to_str()?.to_owned()))
    }

    fn both_spellings(list: &str) -> [Option<String>; 2] {
        [Some(list.to_owned()), Some(list.to_owned())]
    }

    #[test]
    fn no_proxy_without_proxy_is_unchanged() {
        assert_eq!(no_proxy_values(&[]), [None, None]);
        assert_eq!(no_proxy_values(&[("NO_PROXY", "a")]), [Some("a".to_owned()), None]);
    }

    #[test]
    fn no_proxy_with_any_proxy_contains_loopback() {
        let loopback = "127.0.0.1,localhost,::1";
        for proxy in PROXY_VARS {
            let proxy = (proxy, "http://proxy:3128");
            assert_eq!(no_proxy_values(&[proxy]), both_spellings(loopback));
            assert_eq!(no_proxy_values(&[proxy, ("no_proxy", "")]), both_spellings(loopback));
            for name in NO_PROXY_VARS {
                assert_eq!(
                    no_proxy_values(&[proxy, (name, ".corp")]),
                    both_spellings(&format!(".corp,{loopback}"))
                );
                assert_eq!(no_proxy_values(&[proxy, (name, "*")]), both_spellings("*"));
                let some = "localhost, 127.0.0.1";
                assert_eq!(no_proxy_values(&[proxy, (name, some)]), both_spellings(&format!("{some},::1")));
            }
        }
    }

    #[test]
    fn no_proxy_differing_spellings_keep_their_entries() {
        let given = [("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", "a"), ("no_proxy", "b")];
        let [upper, lower] = no_proxy_values(&given);
        assert_eq!(upper.unwrap(), "a,127.0.0.1,localhost,::1");
        assert_eq!(lower.unwrap(), "b,127.0.0.1,localhost,::1");
    }
}
