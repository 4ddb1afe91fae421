//! `ScriptedProvider`: returns prepared results in order, optionally when the test admits each call.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
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
#[derive(Debug, Clone)]
pub struct ScriptedProvider(Arc<Play>);

#[derive(Debug)]
struct Play {
    script: Mutex<VecDeque<Script>>,
    calls: AtomicUsize,
    gate: Option<Semaphore>,
}

impl ScriptedProvider {
    /// Creates a provider that plays `script`.
    pub fn new(script: impl IntoIterator<Item = Script>) -> Self {
        Self::play(script, None)
    }

    /// Creates a provider that plays `script`; each call waits until [`let_through`](Self::let_through) admits it.
    pub fn gated(script: impl IntoIterator<Item = Script>) -> Self {
        Self::play(script, Some(Semaphore::new(0)))
    }

    fn play(script: impl IntoIterator<Item = Script>, gate: Option<Semaphore>) -> Self {
        let script = Mutex::new(script.into_iter().collect());
        Self(Arc::new(Play { script, calls: AtomicUsize::new(0), gate }))
    }

    /// Admits `count` waiting or future calls of a gated script.
    pub fn let_through(&self, count: usize) {
        if let Some(gate) = &self.0.gate {
            gate.add_permits(count);
        }
    }

    /// Returns how many calls were started.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Adds a result to the end of the script.
    pub fn then(&self, next: Script) {
        self.script().push_back(next);
    }

    fn next(&self) -> Script {
        let mut script = self.script();
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.unwrap_or_else(|| Script::Fail(Error::not_configured("the script is empty")))
    }

    fn script(&self) -> std::sync::MutexGuard<'_, VecDeque<Script>> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CredentialProvider for ScriptedProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("scripted")
    }

    #[allow(clippy::panic, reason = "the script asks for it")]
    async fn provide(&self) -> Result<Credentials> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.0.gate {
            let permit =
                gate.acquire().await.map_err(|_| Error::new(ErrorKind::Internal, "the gate is gone"))?;
            permit.forget();
        }
        match self.next() {
            Script::Answer(credentials) => Ok(credentials),
            Script::Fail(error) => Err(error),
            Script::Panic => panic!("scripted panic"),
            Script::Hang => std::future::pending().await,
        }
    }
}
