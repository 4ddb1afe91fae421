//! The words and rules of valetkey: what credentials are, who provides them, and how a session holds them.
//!
//! Three sentences carry the design:
//!
//! - *Providers fetch and never cache; sessions cache and never fetch on their own; consumers see the trait or
//!   a session, never a backend.*
//! - *A secret has one type, which cannot be printed or serialized.*
//! - *There is no global: what you were not handed, you cannot reach.*
//!
//! This crate performs no I/O, reads wall time only through [`Clock`], and spawns nothing: background work is a
//! future that its owner drives ([`SessionContext::keep_warm`], [`SessionRegistry::keep_swept`]). Time-outs use tokio's
//! timer, so sessions are used inside a tokio runtime with time enabled.

mod attempt;
mod attribution;
pub mod audit;
mod caller;
mod clock;
mod credentials;
mod error;
mod expiry;
mod guard;
mod ident;
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
pub use caller::{CallerIdentity, CallerIdentityProvider};
pub use clock::{Clock, SystemClock};
pub use credentials::{Credentials, CredentialsBuilder};
pub use error::{Error, ErrorKind, Result};
pub use expiry::Expiry;
pub use guard::AccountGuard;
pub use ident::{AccessKeyId, AccountId, AccountName, CredentialId, Principal, Region, RoleArn, SessionId};
pub use observer::{CredentialObserver, CredentialObservers};
pub use policy::{PolicyDigest, SessionPolicy};
pub use printable::escape_control_chars;
pub use provider::{CredentialProvider, ObservedProvider, ProviderChain};
pub use registry::{RegistryBuilder, SessionGuard, SessionHandle, SessionRegistry};
pub use resolver::{CachedResolver, CredentialResolver, MapResolver};
pub use revocation::RevocationPolicy;
pub use session::{
    AccessScope, AccountStatus, CallerIdentityCache, CredentialsVersion, CurrentCredentials, Freshness,
    Generation, NarrowedSessionCache, OutstandingAccount, OutstandingCredentials, RefreshLimits,
    RefreshPolicy, RotationWatcher, SessionAccount, SessionBuilder, SessionContext, SessionStatus,
};

/// The secret string type: unprintable, wiped when dropped, read only through `expose_secret`.
pub use secrecy::{ExposeSecret, SecretString};
