//! Defines the credential types of valetkey, the traits that provide them, and the sessions that hold them.
//!
//! Three rules carry the design:
//!
//! - *Providers fetch and never cache; sessions cache and never fetch on their own; consumers see the trait or a
//!   session, never a backend.*
//! - *A secret has one type, which can be neither printed nor serialized.*
//! - *There is no global state: code can only reach a session through a handle that it was given.*
//!
//! This crate performs no I/O, reads wall time only through [`Clock`], and spawns no tasks: background work is a
//! future that its owner drives ([`SessionContext::keep_warm`], [`SessionRegistry::keep_swept`]). Timeouts use tokio's
//! timer, so sessions must be used inside a tokio runtime with time enabled.
//!
//! # Entry points
//! - [`SessionContext`] holds the credentials of one session: it fetches, caches, refreshes, narrows and clears them.
//! - [`provider_fn`], [`ProviderChain`] and the trait [`CredentialProvider`] fetch credentials from a source.
//! - [`resolver_fn`], [`CachedResolver`] and the trait [`CredentialResolver`] look up credentials by id.
//! - [`SessionPolicy`] and [`SessionContext::narrow`] create a child session that may do less.
//! - [`SessionRegistry`] holds the sessions of many principals.
//! - [`audit`] records what was issued, served and refused.
//!
//! The feature `test-util` adds the module `testing`, with a manual clock, a scripted provider and a contract suite.
//!
//! # Examples
//! ```
//! use valetkey_core::{Credentials, SessionContext, provider_fn};
//! # async fn read_store() -> String {
//! #     r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#.to_owned()
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> valetkey_core::Result<()> {
//!
//! let store = provider_fn("store", async || Credentials::from_json(&read_store().await, "store"));
//! let session = SessionContext::builder().provider(store).build();
//! assert_eq!(session.credentials().await?.access_key_id().last_four(), "MPLE");
//!
//! session.close();
//! assert!(session.credentials().await.is_err());
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attribution;
pub mod audit;
mod cache;
mod caller;
mod clock;
mod credentials;
mod error;
mod expiry;
mod ident;
mod key_exchange;
mod observer;
mod policy;
mod printable;
mod provider;
mod registry;
mod resolver;
mod revocation;
mod session;
mod single_flight;
mod sync;
#[cfg(feature = "test-util")]
pub mod testing;

pub use attribution::{Attribution, NameTemplate};
pub use cache::{
    CredentialsVersion, CurrentCredentials, Freshness, Generation, RefreshLimits, RefreshPolicy,
};
pub use caller::{CallerIdentity, CallerIdentityProvider};
pub use clock::{Clock, SystemClock};
pub use credentials::{Credentials, CredentialsBuilder};
pub use error::{Error, ErrorKind, Result};
pub use expiry::Expiry;
pub use ident::{AccessKeyId, AccountId, AccountName, CredentialId, Principal, Region, RoleArn, SessionId};
pub use key_exchange::KeyExchange;
pub use observer::{CredentialObserver, CredentialObservers};
pub use policy::{PolicyDigest, SessionPolicy};
pub use printable::escape_control_chars;
pub use provider::{
    CredentialProvider, IntoProvider, ObservedProvider, ProviderChain, ProviderFn, provider_fn,
};
pub use registry::{RegistryBuilder, SessionGuard, SessionHandle, SessionRegistry};
pub use resolver::{CachedResolver, CredentialResolver, IntoResolver, MapResolver, ResolverFn, resolver_fn};
pub use revocation::RevocationPolicy;
pub use session::{
    AccessScope, AccountStatus, CallerIdentityCache, NarrowedSessionCache, OutstandingAccount,
    OutstandingCredentials, RotationWatcher, SessionAccount, SessionBuilder, SessionContext, SessionStatus,
    WeakSession,
};

/// Implements a trait of this crate that has async methods, such as [`CredentialProvider`].
pub use async_trait::async_trait;

/// The secret string type: it cannot be printed, is cleared when dropped, and is read only through `expose_secret`.
pub use secrecy::{ExposeSecret, SecretString};

/// Compiles the Rust code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
