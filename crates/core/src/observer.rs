//! `CredentialObserver`: receives all credentials that a session holds, so that they can be masked in output.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use crate::Credentials;

/// Receives all credentials that are set on a session or that it fetches, whether or not the session ever serves them.
///
/// The typical observer is a redactor, which can only mask secrets that it knows.
/// [`SessionContext::observe`](crate::SessionContext::observe) attaches an observer.
///
/// # Contract
/// The session calls `observe` before it serves the credentials and again after it published them, so an observer sees
/// the same credentials several times. No lock is held during the call, but the caller of the session waits for it: it
/// must not block. It must not write the secrets anywhere.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use valetkey_core::{CredentialObserver, Credentials, SessionContext};
///
/// #[derive(Default)]
/// struct Counter(AtomicUsize);
///
/// impl CredentialObserver for Counter {
///     fn observe(&self, _credentials: &Credentials) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let counter = Arc::new(Counter::default());
/// let session = SessionContext::builder().build();
/// session.observe(&counter);
/// assert_eq!(counter.0.load(Ordering::Relaxed), 0);
/// ```
pub trait CredentialObserver: Send + Sync {
    /// Receives credentials of the session.
    ///
    /// Must accept the same credentials repeatedly.
    fn observe(&self, credentials: &Credentials);
}

/// The observers of one session, its children, and the providers that report to it. Clones share the observers, and do
/// not keep them alive.
///
/// # Examples
/// ```
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicUsize, Ordering};
/// # use valetkey_core::{CredentialObserver, CredentialObservers, Credentials};
/// # #[derive(Default)]
/// # struct Counter(AtomicUsize);
/// # impl CredentialObserver for Counter {
/// #     fn observe(&self, _: &Credentials) { self.0.fetch_add(1, Ordering::Relaxed); }
/// # }
/// # let text = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#;
/// # let credentials = Credentials::from_json(text, "file")?;
/// let counter = Arc::new(Counter::default());
/// let observer: Arc<dyn CredentialObserver> = counter.clone();
/// let observers = CredentialObservers::new();
/// observers.attach(&observer);
/// observers.report(&credentials);
/// assert_eq!(counter.0.load(Ordering::Relaxed), 1);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct CredentialObservers(Arc<Mutex<Vec<Weak<dyn CredentialObserver>>>>);

impl CredentialObservers {
    /// Creates an empty list of observers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an observer. It receives what is reported from now on, until its last `Arc` is dropped.
    ///
    /// Credentials that were reported before are not repeated;
    /// [`SessionContext::observe`](crate::SessionContext::observe) reports those that a session holds.
    pub fn attach(&self, observer: &Arc<dyn CredentialObserver>) {
        let mut observers = self.lock();
        observers.retain(|attached| attached.strong_count() > 0);
        observers.push(Arc::downgrade(observer));
    }

    /// Reports credentials to every observer. A panic of an observer is logged and does not reach the caller.
    ///
    /// For providers that fetch credentials which no session serves, such as the long-lived keys behind a role. The lock
    /// on the list is not held during the calls.
    pub fn report(&self, credentials: &Credentials) {
        let observers: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        for observer in observers {
            if catch_unwind(AssertUnwindSafe(|| observer.observe(credentials))).is_err() {
                tracing::error!("an observer of credentials panicked");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn CredentialObserver>>> {
        self.0.lock()
    }
}

impl fmt::Debug for CredentialObservers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialObservers").field("len", &self.lock().len()).finish()
    }
}
