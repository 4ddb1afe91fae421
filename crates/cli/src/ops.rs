//! The operations listener of `serve`: health, readiness, metrics, the status as JSON, and a page that shows it.
//!
//! An operator decides about requests for access, too. It is separate from the MCP endpoint. No response of a read has a
//! secret or the handle of a session.

mod access;
mod address;
mod audit;
mod client;
mod decisions;
mod listener;
mod metrics;
mod response;
mod runtime_dir;
mod state;
mod store_metrics;

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use futures_util::future::join_all;
use valetkey::mcp::AccessRequests;

pub(crate) use address::OpsAddress;
pub(crate) use audit::ObservedAudit;
pub(crate) use client::{OpsRequest, OpsResponse};
pub(crate) use decisions::Decisions;
pub(crate) use state::{OpsState, StatusSource};

use crate::error::CliError;
use crate::settings::{Diagnostic, Settings};
use access::{Access, TokenDigest};
use listener::OpsListener;

/// The listeners that the settings and the command line describe.
pub(crate) struct OpsConfig {
    address: Option<OpsAddress>,
    tokens: Vec<TokenDigest>,
    has_socket: bool,
}

/// The open listeners. Each stops, and removes its socket, when this value is dropped.
pub(crate) struct OpsListeners {
    listeners: Vec<OpsListener>,
}

impl OpsConfig {
    /// Reads `[ops]`. `address` takes precedence over its `listen`.
    pub(crate) fn read(
        settings: &Settings,
        address: Option<&OpsAddress>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let ops = settings.ops.clone().unwrap_or_default();
        let mut report = |key: &str, what: String| diagnostics.push(settings.diagnostic(&["ops", key], what));
        let configured = ops.listen.as_deref().map(str::parse::<OpsAddress>).transpose();
        let configured = configured.unwrap_or_else(|what| {
            report("listen", what.to_owned());
            None
        });
        let tokens: Vec<_> = ops.token_sha256.iter().filter_map(|digest| digest.parse().ok()).collect();
        if tokens.len() < ops.token_sha256.len() {
            report("token_sha256", "must be SHA-256 digests in hexadecimal digits".to_owned());
        }
        let address = address.cloned().or(configured);
        if ops.token_sha256.is_empty() && address.as_ref().is_some_and(OpsAddress::is_remote) {
            let what = "lets other machines read the state of the gateway; use a loopback address or a socket, or set \
                        `token_sha256`";
            report("listen", what.to_owned());
        }
        Self { address, tokens, has_socket: ops.socket.unwrap_or(true) }
    }

    /// Opens the listeners, and prints their address. Without a runtime folder, there is no socket for
    /// `valetkey status`, which is no reason not to serve.
    pub(crate) async fn open(self) -> Result<OpsListeners, CliError> {
        let mut listeners = Vec::new();
        if let Some(address) = &self.address {
            let opened = OpsListener::bind(address, |bound| Access::new(bound, self.tokens)).await;
            let listener = opened.map_err(|error| {
                CliError::failed(format!("{address} cannot be listened on for operations: {error}"))
            })?;
            listeners.push(listener);
        }
        if self.has_socket {
            match runtime_dir::new_socket().and_then(OpsListener::bind_private) {
                Ok(listener) => listeners.push(listener),
                Err(error) => tracing::warn!(%error, "`valetkey status` does not find this gateway"),
            }
        }
        if let (Some(_), Some(listener)) = (&self.address, listeners.first()) {
            print_address(listener.url());
        }
        Ok(OpsListeners { listeners })
    }
}

impl OpsListeners {
    /// Returns a list for requests for access, with the decisions of an operator about them. `None` without a socket, by
    /// which the operator proves who decides.
    pub(crate) fn access_requests(&self) -> Option<(AccessRequests, Decisions)> {
        let requests = self.listeners.iter().any(OpsListener::is_socket).then(AccessRequests::new)?;
        let page = self.listeners.iter().find_map(OpsListener::page).map(str::to_owned);
        Some((requests.clone(), Decisions::new(requests, page)))
    }

    /// Serves until the future is dropped.
    pub(crate) async fn serve(&self, state: OpsState) -> Infallible {
        let state = Arc::new(state);
        join_all(self.listeners.iter().map(|listener| listener.serve(&state))).await;
        // Without a listener there is nothing to serve.
        pending().await
    }
}

#[allow(clippy::print_stderr, reason = "the person who starts the gateway sees its addresses")]
fn print_address(url: &str) {
    eprintln!("serving operations at {url}");
}
