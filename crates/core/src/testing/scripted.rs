//! `ScriptedProvider`: returns prepared results in order, optionally when the test admits each call.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{CredentialProvider, Credentials, Error, ErrorKind, Result};

/// One result of a [`ScriptedProvider`].
#[derive(Debug, Clone)]
pub enum Script {
    /// Returns these credentials.
    Answer(Credentials),
    /// Returns this error.
    Fail(Error),
    /// Panics.
    Panic,
    /// Never returns.
    Hang,
}

/// Returns the results of its script, one per call; the last one repeats. Clones share the script and the count.
///
/// An empty script fails with `NotConfigured`.
///
/// # Examples
/// ```
/// use valetkey_core::testing::{Script, ScriptedProvider};
/// use valetkey_core::{CredentialProvider, Error, ErrorKind};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let text = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#;
/// # let credentials = valetkey_core::Credentials::from_json(text, "file")?;
///
/// let throttled = Error::new(ErrorKind::Throttled, "too many requests");
/// let provider = ScriptedProvider::new([Script::Fail(throttled), Script::Answer(credentials)]);
/// assert!(provider.provide().await.unwrap_err().is_transient());
/// assert!(provider.provide().await.is_ok());
/// assert_eq!(provider.call_count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ScriptedProvider(Arc<ScriptedInner>);

#[derive(Debug)]
struct ScriptedInner {
    steps: Mutex<VecDeque<Script>>,
    calls: AtomicUsize,
    permits: Option<Semaphore>,
}

impl ScriptedProvider {
    /// Creates a provider that plays `script`.
    pub fn new(script: impl IntoIterator<Item = Script>) -> Self {
        Self::with_permits(script, None)
    }

    /// Creates a provider that plays `script`; each call waits until [`release`](Self::release) admits it.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::testing::{Script, ScriptedProvider};
    /// use valetkey_core::{CredentialProvider, Error};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    ///
    /// let provider = ScriptedProvider::blocked([Script::Fail(Error::not_configured("no store"))]);
    /// let (result, ()) = tokio::join!(provider.provide(), async { provider.release(1) });
    /// assert!(result.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn blocked(script: impl IntoIterator<Item = Script>) -> Self {
        Self::with_permits(script, Some(Semaphore::new(0)))
    }

    fn with_permits(script: impl IntoIterator<Item = Script>, permits: Option<Semaphore>) -> Self {
        let script = Mutex::new(script.into_iter().collect());
        Self(Arc::new(ScriptedInner { steps: script, calls: AtomicUsize::new(0), permits }))
    }

    /// Admits `count` waiting or future calls of a gated script.
    ///
    /// Has no effect on a provider that was created by [`new`](Self::new).
    pub fn release(&self, count: usize) {
        if let Some(gate) = &self.0.permits {
            gate.add_permits(count);
        }
    }

    /// Returns how many calls were started.
    ///
    /// Counts calls that wait, and calls that were dropped, too.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Adds a result to the end of the script.
    pub fn push(&self, next: Script) {
        self.lock_steps().push_back(next);
    }

    fn next_step(&self) -> Script {
        let mut script = self.lock_steps();
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.unwrap_or_else(|| Script::Fail(Error::not_configured("the script is empty")))
    }

    fn lock_steps(&self) -> parking_lot::MutexGuard<'_, VecDeque<Script>> {
        self.0.steps.lock()
    }
}

#[async_trait]
impl CredentialProvider for ScriptedProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("scripted")
    }

    #[allow(clippy::panic, reason = "the script requires it")]
    async fn provide(&self) -> Result<Credentials> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.0.permits {
            let permit =
                gate.acquire().await.map_err(|_| Error::new(ErrorKind::Internal, "the gate is gone"))?;
            permit.forget();
        }
        match self.next_step() {
            Script::Answer(credentials) => Ok(credentials),
            Script::Fail(error) => Err(error),
            Script::Panic => panic!("scripted panic"),
            Script::Hang => std::future::pending().await,
        }
    }
}
