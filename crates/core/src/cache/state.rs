//! `State`: what changes about an account under the lock of its cell.

use std::sync::Arc;

use super::backoff::RefreshBackoff;
use super::refresh::FetchOutcome;
use super::{Generation, LazyWatch, RenewalChain, RotationState};
use crate::clock::{Nanos, nanos};
use crate::session::shared::SessionShared;
use crate::single_flight::SingleFlight;
use crate::{CredentialProvider, Credentials, Expiry, KeyExchange, Region};

pub(crate) type ArcProvider = Arc<dyn CredentialProvider>;
pub(crate) type ArcKeyExchange = Arc<dyn KeyExchange>;

/// At most one of these serves the account: credentials that were set directly (`manually_set`), the exchanger, or
/// the provider, in this order.
pub(super) struct State {
    pub(super) provider: Option<ArcProvider>,
    cold: Option<Box<ColdState>>,
    /// The current credentials were set directly: no provider is called.
    pub(super) manually_set: bool,
    /// The chain that began with the last clear; zero before any.
    pub(super) last_clear: RenewalChain,
    /// Whether the account was cleared, so that the provider is not called.
    pub(super) suspension: Suspension,
    /// Changes whenever the next credentials do not continue the previous ones.
    pub(super) chain: RenewalChain,
    pub(super) generation: Generation,
    /// When the last of all credentials that were ever held expires.
    pub(super) latest_expiry: Nanos,
    pub(super) fetch: SingleFlight<FetchOutcome>,
    pub(super) backoff: RefreshBackoff,
    pub(super) watch: LazyWatch<RotationState>,
}

/// Whether an account was cleared, and what ends that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspension {
    None,
    /// Cleared with its session: ends when something is set on any account of the session.
    WithSession,
    /// Cleared on its own: ends when something is set on this account.
    Alone,
}

/// State that few accounts have.
#[derive(Default)]
pub(super) struct ColdState {
    region: Option<Region>,
    exchanger: Option<ArcProvider>,
    /// The credentials that `exchanger` exchanges.
    exchanged: Option<Credentials>,
    key_exchange: Option<ArcKeyExchange>,
}

impl State {
    /// The state of an account that was never cleared and has nothing to serve.
    pub(super) fn new(chain: RenewalChain) -> Self {
        Self {
            provider: None,
            cold: None,
            manually_set: false,
            last_clear: RenewalChain::default(),
            suspension: Suspension::None,
            chain,
            generation: Generation::default(),
            latest_expiry: 0,
            fetch: SingleFlight::default(),
            backoff: RefreshBackoff::default(),
            watch: LazyWatch::default(),
        }
    }

    /// Returns the provider that serves the account.
    ///
    /// The exchanger takes precedence over the provider. Neither is called while credentials are set directly or
    /// the account is suspended; the caller checks that.
    pub(super) fn active_provider(&self) -> Option<&ArcProvider> {
        let exchanger = self.cold.as_ref().and_then(|cold| cold.exchanger.as_ref());
        exchanger.or(self.provider.as_ref())
    }

    /// Returns the provider that serves the account, unless the account is suspended.
    pub(super) fn enabled_provider(&self) -> Option<ArcProvider> {
        self.active_provider().cloned().filter(|_| !self.is_suspended())
    }

    pub(super) fn key_exchange(&self) -> Option<ArcKeyExchange> {
        self.cold.as_ref()?.key_exchange.clone()
    }

    /// Returns the previous key exchange, to be dropped once no lock is held.
    #[must_use]
    pub(super) fn replace_key_exchange(&mut self, exchange: ArcKeyExchange) -> Option<ArcKeyExchange> {
        self.cold.get_or_insert_default().key_exchange.replace(exchange)
    }

    /// Removes and returns the key exchange, to be dropped once no lock is held.
    #[must_use]
    pub(super) fn take_key_exchange(&mut self) -> Option<ArcKeyExchange> {
        self.cold.as_mut()?.key_exchange.take()
    }

    /// Returns the previous provider. It must be dropped once no lock is held, since its `Drop` is user code.
    #[must_use]
    pub(super) fn replace_exchanger(&mut self, exchanger: Option<ArcProvider>) -> Option<ArcProvider> {
        match (&mut self.cold, exchanger) {
            (None, None) => None,
            (cold, exchanger) => {
                let cold = cold.get_or_insert_default();
                cold.exchanged = None;
                std::mem::replace(&mut cold.exchanger, exchanger)
            }
        }
    }

    /// Returns the credentials that were set on the account and are exchanged instead of served.
    pub(super) fn exchanged(&self) -> Option<&Credentials> {
        self.cold.as_ref()?.exchanged.as_ref()
    }

    /// Keeps the credentials that the exchanger exchanges.
    pub(super) fn store_exchanged(&mut self, credentials: &Credentials) {
        self.cold.get_or_insert_default().exchanged = Some(credentials.clone());
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspension != Suspension::None
    }

    /// Credentials published from now on have a later chain than `last_clear`, and earlier ones an earlier chain. A
    /// clear of the session does not end the suspension of an account that was cleared on its own.
    ///
    /// Notes a clear, so that copies and lookups from before it are recognized.
    pub(super) fn record_clear(&mut self, shared: &SessionShared, suspension: Suspension) {
        self.last_clear = shared.new_renewal_chain();
        if self.suspension != Suspension::Alone {
            self.suspension = suspension;
        }
    }

    /// Includes `credentials` in the [`latest_expiry`](Self::latest_expiry).
    pub(super) fn record_exposure(&mut self, credentials: &Credentials) {
        let expiry = match credentials.expiry() {
            Expiry::At(instant) => nanos(instant),
            Expiry::Never => Nanos::MAX,
        };
        self.latest_expiry = self.latest_expiry.max(expiry);
    }

    pub(super) fn region(&self) -> Option<Region> {
        self.cold.as_ref()?.region.clone()
    }

    pub(super) fn set_region(&mut self, region: Region) {
        self.cold.get_or_insert_default().region = Some(region);
    }
}
