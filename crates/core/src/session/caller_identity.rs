//! `CallerIdentityCache`: whom AWS takes one account's credentials for, asked once a set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::SessionAccount;
use crate::cache::CredentialsVersion;
use crate::isolate::{Callee, call_isolated};
use crate::single_flight::{Flight, SingleFlight};
use crate::{CallerIdentity, CallerIdentityProvider, Credentials, Result};

/// None when the runtime that kept the time of it is gone.
type Answer = Option<Result<CallerIdentity>>;

/// Whom AWS takes one account of a session for. However many ask at once, and however often, there is one call for each
/// set that the account serves. Rotation, clearing and closing make what was told void. Clones share it.
#[derive(Clone)]
pub struct CallerIdentityCache {
    account: SessionAccount,
    lookup: Arc<dyn CallerIdentityProvider>,
    known: Arc<Mutex<Known>>,
}

/// What is known, and of which set. A question is held weakly: it holds the set, and ends with whoever waits for it.
#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    Asked(CredentialsVersion, SingleFlight<Answer>),
    Told(CredentialsVersion, CallerIdentity),
}

impl CallerIdentityCache {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(account: SessionAccount, lookup: Arc<dyn CallerIdentityProvider>) -> Self {
        Self { account, lookup, known: Arc::default() }
    }

    /// The caller behind the set that the account serves, which is fetched first if need be. A failure is told to all
    /// who wait, and not kept. Cancel safe: whoever else waits goes on.
    ///
    /// # Errors
    /// As [`SessionAccount::credentials`]; `Closed` or `NotConfigured` also when the session was closed or cleared while
    /// AWS was asked; `TimedOut` without an answer within the load time-out of the session's policy; else what the lookup
    /// answered.
    pub async fn get(&self) -> Result<CallerIdentity> {
        loop {
            self.account.credentials().await?;
            // None when it was cleared since, which is told at the next turn.
            let Some(set) = self.account.cache()?.current() else { continue };
            let limit = self.account.session()?.shared.policy().load_timeout;
            let caller = match self.ask(&set, limit) {
                Ok(told) => told,
                Err(question) => match self.keep(set.metadata().id, question.await) {
                    Some(answer) => answer?,
                    None => continue,
                },
            };
            if self.account.cache()?.current().is_some_and(|now| now.metadata().id == set.metadata().id) {
                return Ok(caller);
            }
        }
    }

    /// What is known of the set, or the question whose answer tells it.
    fn ask(&self, current: &Credentials, limit: Duration) -> Result<CallerIdentity, Flight<Answer>> {
        let (mut known, id) = (self.known(), current.metadata().id);
        match &*known {
            Known::Told(set, caller) if *set == id => return Ok(caller.clone()),
            Known::Asked(set, question) if *set == id => {
                if let Some(question) = question.in_flight() {
                    return Err(question);
                }
            }
            _ => {}
        }
        let mut single = SingleFlight::default();
        let lookup = single.start(look_up(Arc::clone(&self.lookup), current.clone(), limit));
        *known = Known::Asked(id, single);
        Err(lookup)
    }

    /// Keeps what was told of the set, unless another one has been asked about since.
    fn keep(&self, set: CredentialsVersion, answer: Answer) -> Answer {
        let mut known = self.known();
        if matches!(&*known, Known::Asked(asked, _) if *asked == set) {
            *known = match &answer {
                Some(Ok(caller)) => Known::Told(set, caller.clone()),
                _ => Known::Nothing,
            };
        }
        answer
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

async fn look_up(
    provider: Arc<dyn CallerIdentityProvider>,
    credentials: Credentials,
    limit: Duration,
) -> Answer {
    let callee = Callee { role: "caller lookup", name: || provider.name() };
    call_isolated(callee, limit, async { provider.caller_identity(&credentials).await }).await
}

impl fmt::Debug for CallerIdentityCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerIdentityCache")
            .field("account", self.account.account_name())
            .finish_non_exhaustive()
    }
}
