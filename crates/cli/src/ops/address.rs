//! `OpsAddress`: an address of this machine, or a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the operations listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpsAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl OpsAddress {
    /// Whether other machines may reach it.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }
}

impl FromStr for OpsAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let address = text.parse().map(Self::Tcp);
        address
            .map_err(|_| "must be an address such as 127.0.0.1:9464, or the absolute path of a Unix socket")
    }
}

impl fmt::Display for OpsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_address_is_socket_address_or_path() {
        let remote = |text: &str| text.parse::<OpsAddress>().map(|address| address.is_remote());
        assert_eq!(
            (remote("127.0.0.1:9464"), remote("[::1]:1"), remote("/run/ops.sock")),
            (Ok(false), Ok(false), Ok(false))
        );
        assert_eq!((remote("0.0.0.0:9464"), remote("10.0.0.1:1")), (Ok(true), Ok(true)));
        assert!(remote("localhost:9464").is_err() && remote("ops.sock").is_err());
    }
}
