//! `Crews`: the narrowed sessions of a host that servers run for, found by session and policy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use valetkey_core::{
    Alias, Error, ErrorKind, PolicyDigest, Result, SessionAccount, SessionId, SessionPolicy,
};

use super::crew::{Crew, OnCall, OnDuty};
use super::launch::Recipe;
use super::server::{Server, late_binding};
use crate::child::SessionHome;

/// How many crews there may be, and for how long one that is not called is kept.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) most: usize,
    pub(super) idle: Duration,
}

pub(super) struct Crews {
    /// The host's own.
    recipe: Arc<Recipe>,
    limits: Limits,
    stop: CancellationToken,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// The one that was called last is the last.
    crews: Vec<(Key, Arc<Crew>)>,
    /// One for each crew, which it stops in the end.
    keepers: JoinSet<()>,
}

/// Whose authority a call runs with: a session's, or what a policy leaves of one of its accounts.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    session: SessionId,
    policy: Option<(Alias, PolicyDigest)>,
}

impl Crews {
    pub(super) fn new(recipe: Arc<Recipe>, limits: Limits) -> Self {
        Self { recipe, limits, stop: CancellationToken::new(), open: Mutex::default() }
    }

    /// The server like `model` that acts in `account`, under `policy` if there is one, and for nobody else. It is made
    /// when it is first asked for, and its process started when it is first called.
    pub(super) fn on_call(
        self: &Arc<Self>,
        model: &Server,
        account: &SessionAccount,
        policy: Option<&SessionPolicy>,
    ) -> Result<OnCall> {
        let named = |error: Error| error.with_provider(model.name().to_owned());
        let key = Key::new(account, policy).map_err(named)?;
        let crew = match self.known(&key) {
            Some(crew) => crew,
            None => self.admit(key, self.hired(account, policy)?).map_err(named)?,
        };
        crew.server(model, account).map_err(named)
    }

    /// The servers of all crews.
    pub(super) fn servers(&self) -> Vec<Arc<Server>> {
        let crews: Vec<_> = self.open().crews.iter().map(|(_, crew)| Arc::clone(crew)).collect();
        crews.iter().flat_map(|crew| crew.all()).collect()
    }

    /// Removes the folder of the host's own session, which no server may use any more.
    pub(super) async fn remove_home(&self) {
        self.recipe.remove_home().await;
    }

    /// Stops everything and waits until it is gone. Nothing is started any more.
    pub(super) async fn stop(&self) {
        let mut keepers = {
            let mut open = self.open();
            self.stop.cancel();
            std::mem::take(&mut open.keepers)
        };
        while keepers.join_next().await.is_some() {}
    }

    /// Counts a call in on a crew that is there and whose session goes on.
    fn known(&self, key: &Key) -> Option<OnDuty> {
        // Under the lock: a crew that is forgotten later waits for this call.
        let duty = self.open().use_now(key)?.begin();
        if duty.crew().is_over() {
            self.forget(duty.crew());
            return None;
        }
        Some(duty)
    }

    /// A crew for a session, narrowed if there is a policy, that has no servers yet.
    fn hired(&self, account: &SessionAccount, policy: Option<&SessionPolicy>) -> Result<Arc<Crew>> {
        let narrowed = policy
            .map(|policy| account.narrow(policy.clone()))
            .transpose()
            .map_err(|error| late_binding(error, account))?;
        let account = match &narrowed {
            Some(narrowed) => narrowed.account(narrowed.default_account())?,
            None => account.clone(),
        };
        let unmade = |error| {
            Error::new(ErrorKind::Internal, "the narrowed session's own folder cannot be made")
                .with_source(error)
        };
        let home = SessionHome::create(Some(&account.resolved_region()))
            .and_then(|home| home.with_configuration(&self.recipe.environment))
            .map_err(unmade)?;
        let session = account.session_id().unwrap_or(self.recipe.session);
        let recipe = Arc::new(self.recipe.elsewhere(session, home));
        Ok(Arc::new(Crew::new(narrowed, account, recipe)))
    }

    /// Takes a crew in, unless another came first, and counts a call in on it.
    fn admit(self: &Arc<Self>, key: Key, crew: Arc<Crew>) -> Result<OnDuty> {
        let mut open = self.open();
        if self.stop.is_cancelled() {
            return Err(Error::new(ErrorKind::Unavailable, "the server was stopped"));
        }
        if let Some(first) = open.use_now(&key) {
            return Ok(first.begin());
        }
        while open.crews.len() >= self.limits.most {
            open.make_room()?;
        }
        while open.keepers.try_join_next().is_some() {}
        open.keepers.spawn(keep(
            Arc::downgrade(self),
            Arc::clone(&crew),
            self.limits.idle,
            self.stop.clone(),
        ));
        open.crews.push((key, Arc::clone(&crew)));
        Ok(crew.begin())
    }

    /// From now on a call for the same gets another crew.
    fn forget(&self, crew: &Arc<Crew>) {
        self.open().crews.retain(|(_, known)| !Arc::ptr_eq(known, crew));
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a crew is of no more use, lets the calls end that are under way, and stops its servers.
async fn keep(crews: Weak<Crews>, crew: Arc<Crew>, idle: Duration, stop: CancellationToken) {
    let done = async {
        crew.out_of_use(idle).await;
        if let Some(crews) = crews.upgrade() {
            crews.forget(&crew);
        }
        crew.idle().await;
    };
    tokio::select! {
        () = done => {}
        () = stop.cancelled() => {}
    }
    crew.stop().await;
}

impl Open {
    fn use_now(&mut self, key: &Key) -> Option<Arc<Crew>> {
        let at = self.crews.iter().position(|(known, _)| known == key)?;
        self.crews[at..].rotate_left(1);
        self.crews.last().map(|(_, crew)| Arc::clone(crew))
    }

    /// The crew that was not called for longest goes. Its keeper has it, and stops it.
    fn make_room(&mut self) -> Result<()> {
        let unused = self.crews.iter().position(|(_, crew)| !crew.is_busy());
        let unused = unused.ok_or_else(|| {
            Error::new(ErrorKind::Throttled, "servers are busy for as many narrowed sessions as there may be")
                .with_next_step("call again when other calls have ended")
        })?;
        let (_, crew) = self.crews.remove(unused);
        crew.relieved.cancel();
        Ok(())
    }
}

impl Key {
    fn new(account: &SessionAccount, policy: Option<&SessionPolicy>) -> Result<Self> {
        let closed =
            || Error::new(ErrorKind::Closed, "the session is closed").with_next_step("open a new session");
        let session = account.session_id().ok_or_else(closed)?;
        let policy = policy.map(|policy| (account.alias().clone(), policy.digest()));
        Ok(Self { session, policy })
    }
}
