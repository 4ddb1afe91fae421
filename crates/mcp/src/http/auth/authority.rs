//! `Authority`: the proof with which the sender of a request was accepted; `Lease`: lasts as long as the proof counts.

use std::sync::Arc;

use tokio::sync::watch;
use valetkey_core::Principal;

use super::claims::Claims;
use super::{Authenticator, TokenDigest, VerifiedCaller};
use crate::http::live_config::LiveConfigCell;

/// A verified caller, and the proof with which it was accepted. Contains no token.
#[derive(Debug, Clone)]
pub(in crate::http) struct Authority {
    pub(in crate::http) caller: VerifiedCaller,
    pub(super) proof: Proof,
}

#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// Requests are not authenticated.
    None,
    /// A configured token.
    Token(TokenDigest),
    /// An access token of an issuer.
    AccessToken(Arc<VerifiedClaims>),
}

/// The claims of an access token whose signature was verified.
#[derive(Debug)]
pub(super) struct VerifiedClaims {
    pub(super) claims: Claims,
    /// The time of the verification, in seconds since 1970.
    pub(super) verified_at: u64,
}

/// Until when the proof of an open stream counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum LeaseEnd {
    /// Until a reload no longer accepts it. A call that has begun continues when its token expires.
    Reload,
    /// Also until it expires: the stream has no end of its own.
    Expiry,
}

/// The right to read a stream. It ends with the authority of the request that opened the stream.
#[derive(Clone)]
pub(in crate::http) struct Lease {
    authority: Authority,
    end: LeaseEnd,
    live: LiveConfigCell,
    reloads: watch::Receiver<u64>,
}

impl Authority {
    pub(super) fn new(caller: VerifiedCaller, proof: Proof) -> Self {
        Self { caller, proof }
    }

    /// Returns a lease that ends when `live` no longer accepts this authority.
    pub(in crate::http) fn lease(&self, live: &LiveConfigCell, end: LeaseEnd) -> Lease {
        Lease { authority: self.clone(), end, live: live.clone(), reloads: live.reloads() }
    }
}

impl Lease {
    /// Waits for the end of the lease. An expiry is noticed when this is called, and not while it waits. Cancel safe.
    pub(in crate::http) async fn ended(&mut self) {
        while self.live.current().authenticator.accepts(&self.authority, self.end) {
            if self.reloads.changed().await.is_err() {
                // `self` has a sender.
                return;
            }
        }
    }
}

impl Authenticator {
    /// Whether a request with this proof would be accepted, and have the same caller.
    ///
    /// The signature of an access token is not verified again: its next request is.
    fn accepts(&self, authority: &Authority, end: LeaseEnd) -> bool {
        let caller = &authority.caller;
        match &authority.proof {
            Proof::None => self.anonymous.as_ref() == Some(caller.principal()),
            Proof::Token(digest) => self.find_token(digest) == Some(caller.principal()),
            Proof::AccessToken(verified) => {
                let issuer = verified.claims.text("iss");
                let known = self.issuers.iter().find(|known| Some(known.rules().issuer.as_str()) == issuer);
                known.is_some_and(|known| known.accepts(verified, caller, end))
            }
        }
    }

    /// Whether a token could have this caller. The claims that an issuer states are not considered.
    pub(in crate::http) fn may_accept(&self, caller: &VerifiedCaller) -> bool {
        self.is_configured(caller.principal())
            || self.issuers.iter().any(|issuer| issuer.rules().may_derive_caller(caller))
    }

    /// Whether a token could have a caller that is this principal.
    pub(in crate::http) fn may_be_principal(&self, principal: &Principal) -> bool {
        self.is_configured(principal) || self.may_derive(principal)
    }

    /// Whether the principal is configured, and not derived from claims.
    fn is_configured(&self, principal: &Principal) -> bool {
        let mut by_subject = self.issuers.iter().flat_map(|issuer| issuer.rules().principals.values());
        self.anonymous.as_ref() == Some(principal)
            || self.tokens.iter().any(|(_, known)| known == principal)
            || by_subject.any(|known| known == principal)
    }
}
