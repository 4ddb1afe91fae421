//! A credential source that valetkey does not know, as a provider that passes the contract suite:
//! `cargo run -p valetkey --example custom_backend --all-features`.
//!
//! The source here is a vault that issues leases. Only `VaultProvider` would change for a real one. In your crate, the
//! call of `contract::faults` belongs into a test, with the feature `test-util` in `[dev-dependencies]`.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use valetkey::testing::contract;
use valetkey::{CredentialProvider, Credentials, Error, ErrorKind, Result, SessionContext, async_trait};

const LEASE_SECRET: &str = "demo-secret-of-a-lease";

/// Fetches a lease at each call. The session caches it and calls again before it expires.
struct VaultProvider {
    vault: Arc<Vault>,
    path: String,
}

#[async_trait]
impl CredentialProvider for VaultProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("vault")
    }

    async fn provide(&self) -> Result<Credentials> {
        let lease = self.vault.lease(&self.path).await.map_err(|refusal| self.explain(refusal))?;
        // An error of `from_json` names the faulty field and repeats no part of the document.
        Credentials::from_json(&lease, "vault").map_err(|error| error.with_provider(self.name()))
    }
}

impl VaultProvider {
    /// Maps a failure of the source to a kind, which decides what the session does: it tries again after a transient
    /// kind, and withdraws earlier credentials after `Denied`. The message states the next step.
    fn explain(&self, refusal: Refusal) -> Error {
        let (kind, what, next_step) = match refusal {
            Refusal::Forbidden => {
                (ErrorKind::Denied, "the lease was refused", "check the policy of the path")
            }
            Refusal::Sealed => (ErrorKind::Unavailable, "the vault is sealed", "unseal it"),
        };
        Error::new(kind, what).with_provider(self.name()).with_next_step(next_step)
    }
}

/// Written out, because a derived `Debug` would show whatever a later field contains.
impl fmt::Debug for VaultProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultProvider").field("path", &self.path).finish_non_exhaustive()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let vault = Arc::new(Vault::default());
    for path in ["aws/orders", "aws/forbidden", "aws/sealed"] {
        let provider = VaultProvider { vault: Arc::clone(&vault), path: path.to_owned() };
        let faults = contract::faults(&provider, &[LEASE_SECRET]).await;
        println!("{path}: {} violations of the contract {faults:?}", faults.len());
        if !faults.is_empty() {
            return Err(Error::new(ErrorKind::Internal, "the provider violates the contract"));
        }
    }

    let leases = vault.leases.load(Ordering::Relaxed);
    let provider = VaultProvider { vault: Arc::clone(&vault), path: "aws/orders".to_owned() };
    let session = SessionContext::builder().provider(provider).build();
    for _ in 0..3 {
        session.credentials().await?;
    }
    println!("three reads, {} lease", vault.leases.load(Ordering::Relaxed) - leases);

    let provider = VaultProvider { vault, path: "aws/forbidden".to_owned() };
    let refused = SessionContext::builder().provider(provider).build();
    if let Err(error) = refused.credentials().await {
        println!("{}: {error}", error.kind().code());
    }
    Ok(())
}

/// The source. A real one would be a client of a service.
#[derive(Default)]
struct Vault {
    leases: AtomicUsize,
}

enum Refusal {
    Forbidden,
    Sealed,
}

impl Vault {
    async fn lease(&self, path: &str) -> std::result::Result<String, Refusal> {
        tokio::task::yield_now().await;
        match path {
            "aws/forbidden" => Err(Refusal::Forbidden),
            "aws/sealed" => Err(Refusal::Sealed),
            _ => {
                self.leases.fetch_add(1, Ordering::Relaxed);
                let key = "ASIADEMOLEASE0000001";
                let lease = json!({"access_key_id": key, "secret_access_key": LEASE_SECRET,
                    "session_token": "demo-secret-token", "expiration": "2099-01-01T00:00:00Z"});
                Ok(lease.to_string())
            }
        }
    }
}
