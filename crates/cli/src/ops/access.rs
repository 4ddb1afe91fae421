//! `Access`: which requests the operations listener accepts.
//!
//! A page in a browser can send requests to a loopback address, under a name of its own (DNS rebinding). Such a request
//! has the page's name in `Host` or `Origin`, or states in `Sec-Fetch-Site` that another site caused it.

use std::str::FromStr;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use subtle::ConstantTimeEq;

use super::address::OpsAddress;
use crate::trust::sha256_hex;

const FETCH_SITE: &str = "sec-fetch-site";

/// The rules of one listener.
pub(super) struct Access {
    /// The values that `Host` may have. Empty where a browser has no access, or a token is needed that it has not.
    hosts: Vec<String>,
    peer: Peer,
    tokens: Vec<TokenDigest>,
}

/// Who can reach a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// The processes of the user of this program.
    SameUser,
    /// The users of this machine.
    SameMachine,
    OtherMachine,
}

/// The SHA-256 digest of a token, in lower-case hexadecimal digits.
pub(super) struct TokenDigest(String);

impl FromStr for TokenDigest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl Access {
    /// Creates the rules for a listener that is bound to `address`.
    pub(super) fn new(address: &OpsAddress, tokens: Vec<TokenDigest>) -> Self {
        let hosts = match address {
            OpsAddress::Tcp(address) if address.ip().is_loopback() => {
                vec![address.to_string(), format!("localhost:{}", address.port())]
            }
            OpsAddress::Tcp(_) | OpsAddress::Unix(_) => Vec::new(),
        };
        let peer = match address {
            OpsAddress::Unix(_) => Peer::SameUser,
            OpsAddress::Tcp(_) if address.is_remote() => Peer::OtherMachine,
            OpsAddress::Tcp(_) => Peer::SameMachine,
        };
        Self { hosts, peer, tokens }
    }

    /// Whether only processes of the user of this program can open the listener.
    pub(super) fn is_same_user(&self) -> bool {
        self.peer == Peer::SameUser
    }

    /// Whether the status page of this listener can take decisions, with a code.
    pub(super) fn accepts_code(&self) -> bool {
        self.peer == Peer::SameMachine
    }

    /// Whether a page has sent a request that [is own](Self::is_own): that of this listener, since no other `Origin` is
    /// accepted. A browser states the origin of each POST.
    pub(super) fn is_from_page(headers: &HeaderMap) -> bool {
        let is_same_site =
            !headers.contains_key(FETCH_SITE) || single(headers, FETCH_SITE) == Some("same-origin");
        headers.contains_key(ORIGIN) && is_same_site
    }

    /// Whether the request was sent to the listener itself, and not by a page of another site.
    pub(super) fn is_own(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| single(headers, name).map(str::to_ascii_lowercase);
        let is_host = |host: &String| self.hosts.contains(host);
        let host_allowed = self.hosts.is_empty() || text(HOST.as_str()).as_ref().is_some_and(is_host);
        let origin_allowed = !headers.contains_key(ORIGIN)
            || text(ORIGIN.as_str()).is_some_and(|origin| {
                origin.strip_prefix("http://").is_some_and(|host| self.hosts.iter().any(|own| own == host))
            });
        let site_allowed = !headers.contains_key(FETCH_SITE)
            || matches!(single(headers, FETCH_SITE), Some("none" | "same-origin"));
        host_allowed && origin_allowed && site_allowed
    }

    /// Whether the request has one of the tokens, if any is configured.
    pub(super) fn is_authorized(&self, headers: &HeaderMap) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let header = single(headers, AUTHORIZATION.as_str()).and_then(|header| header.split_once(' '));
        let Some((_, token)) = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return false;
        };
        let digest = sha256_hex(token.trim().as_bytes());
        self.tokens.iter().any(|known| digest.as_bytes().ct_eq(known.0.as_bytes()).into())
    }
}

/// Returns the value of a header that occurs once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn loopback() -> Access {
        Access::new(&"127.0.0.1:9464".parse().unwrap(), Vec::new())
    }

    #[test]
    fn is_own_refuses_names_and_pages_of_others() {
        let own = |pairs: &[(&'static str, &'static str)]| loopback().is_own(&headers(pairs));
        assert!(
            own(&[("host", "127.0.0.1:9464")])
                && own(&[("host", "LOCALHOST:9464"), ("sec-fetch-site", "none")])
        );
        assert!(own(&[("host", "localhost:9464"), ("origin", "http://localhost:9464")]));
        for refused in [
            &[("host", "attacker.example:9464")][..],
            &[("host", "127.0.0.1")],
            &[],
            &[("host", "127.0.0.1:9464"), ("origin", "http://attacker.example")],
            &[("host", "127.0.0.1:9464"), ("origin", "null")],
            &[("host", "127.0.0.1:9464"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:9464"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(!own(refused), "{refused:?}");
        }
        assert!(Access::new(&"/run/ops.sock".parse().unwrap(), Vec::new()).is_own(&headers(&[])));
    }

    #[test]
    fn is_from_page_requires_origin() {
        for (pairs, is_from_page) in [
            (&[("origin", "http://127.0.0.1:9464"), ("sec-fetch-site", "same-origin")][..], true),
            (&[("origin", "http://127.0.0.1:9464")], true),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("origin", "http://127.0.0.1:9464"), ("sec-fetch-site", "none")], false),
            (&[], false),
        ] {
            assert_eq!(Access::is_from_page(&headers(pairs)), is_from_page, "{pairs:?}");
        }
        let kinds = |address: &str| {
            let access = Access::new(&address.parse().unwrap(), Vec::new());
            (access.is_same_user(), access.accepts_code())
        };
        assert_eq!((kinds("/run/ops.sock"), kinds("[::1]:1")), ((true, false), (false, true)));
        assert_eq!(kinds("10.0.0.1:1"), (false, false));
    }

    #[test]
    fn is_authorized_compares_digest_of_token() {
        let digest = "19c28a50b1a09097592e7ceddb7e0771ff4d469747541a7536579eef857e05ce";
        let access = Access::new(&"0.0.0.0:1".parse().unwrap(), vec![digest.parse().ok().unwrap()]);
        let authorized = |value: &'static str| access.is_authorized(&headers(&[("authorization", value)]));
        assert!(authorized("Bearer token-of-alice") && authorized("bearer token-of-alice"));
        assert!(
            !authorized("Bearer token-of-bob")
                && !authorized("token-of-alice")
                && !authorized("Basic token-of-alice")
        );
        assert!(!access.is_authorized(&headers(&[])) && loopback().is_authorized(&headers(&[])));
        assert!("xyz".parse::<TokenDigest>().is_err() && "+1".repeat(32).parse::<TokenDigest>().is_err());
    }
}
