//! `NarrowedServerPool`: the servers of a host's narrowed sessions, in one group for each session and policy.
//!
//! The servers of a [`ServerGroup`] share its credentials and its folder, and nothing with the servers of other groups.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::{
    AccountName, Error, ErrorKind, PolicyDigest, Result, SessionAccount, SessionContext, SessionId,
    SessionPolicy,
};

use super::server::{Server, with_set_credentials_hint};
use super::spawn::SpawnConfig;
use crate::child::SessionDir;

/// Limits of a pool: the number of groups, and the idle time after which a group is stopped.
#[derive(Clone, Copy)]
pub(super) struct NarrowedLimits {
    pub(super) max_sessions: usize,
    pub(super) idle_timeout: Duration,
}

pub(super) struct NarrowedServerPool {
    /// The spawn configuration of the host's own session.
    spawn_config: Arc<SpawnConfig>,
    limits: NarrowedLimits,
    stop: CancellationToken,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    /// Ordered by last call, the most recently called group last.
    groups: Vec<(GroupKey, Arc<ServerGroup>)>,
    /// One task for each group, which stops the group in the end.
    reapers: JoinSet<()>,
}

/// The authority that a call runs with: that of a session, or of an account of it scoped down by a policy.
#[derive(Clone, PartialEq, Eq)]
struct GroupKey {
    session: SessionId,
    policy: Option<(AccountName, PolicyDigest)>,
}

impl NarrowedServerPool {
    pub(super) fn new(spawn_config: Arc<SpawnConfig>, limits: NarrowedLimits) -> Self {
        Self { spawn_config, limits, stop: CancellationToken::new(), state: Mutex::default() }
    }

    /// Leases a copy of the server `model` that is dedicated to this account and policy. The copy is created on first
    /// use, and its process is started at its first call.
    pub(super) fn lease_server(
        self: &Arc<Self>,
        model: &Server,
        account: &SessionAccount,
        policy: Option<&SessionPolicy>,
    ) -> Result<ServerLease> {
        let with_server = |error: Error| error.with_provider(model.name().to_owned());
        let key = GroupKey::new(account, policy).map_err(with_server)?;
        let lease = match self.get(&key) {
            Some(crew) => crew,
            None => self.insert_or_get(key, self.create_group(account, policy)?).map_err(with_server)?,
        };
        lease.server(model, account).map_err(with_server)
    }

    /// Returns the servers of all groups.
    pub(super) fn servers(&self) -> Vec<Arc<Server>> {
        let crews: Vec<_> = self.lock_state().groups.iter().map(|(_, crew)| Arc::clone(crew)).collect();
        crews.iter().flat_map(|crew| crew.all_servers()).collect()
    }

    /// Removes the folder of the host's own session. Its servers must have exited.
    pub(super) async fn remove_session_dir(&self) {
        self.spawn_config.remove_session_dir().await;
    }

    /// Stops all groups and waits until their servers have exited. No group is added afterwards.
    pub(super) async fn stop(&self) {
        let mut keepers = {
            let mut open = self.lock_state();
            self.stop.cancel();
            std::mem::take(&mut open.reapers)
        };
        while keepers.join_next().await.is_some() {}
    }

    /// Registers a call on an existing group whose session has not ended.
    fn get(&self, key: &GroupKey) -> Option<GroupLease> {
        // Taken under the lock: a group that is removed later waits for this call.
        let lease = self.lock_state().touch(key)?.lease();
        if lease.group().is_expired() {
            self.remove(lease.group());
            return None;
        }
        Some(lease)
    }

    /// Creates a group without servers, for a session narrowed by `policy` if there is one.
    fn create_group(
        &self,
        account: &SessionAccount,
        policy: Option<&SessionPolicy>,
    ) -> Result<Arc<ServerGroup>> {
        let narrowed = policy
            .map(|policy| account.narrow(policy.clone()))
            .transpose()
            .map_err(|error| with_set_credentials_hint(error, account))?;
        let account = match &narrowed {
            Some(narrowed) => narrowed.account(narrowed.default_account())?,
            None => account.clone(),
        };
        let directory_error = |error| {
            Error::new(ErrorKind::Internal, "the narrowed session's own folder cannot be made")
                .with_source(error)
        };
        let home = SessionDir::create(Some(&account.resolved_region()))
            .and_then(|home| home.with_configuration(&self.spawn_config.environment))
            .map_err(directory_error)?;
        let session = account.session_id().unwrap_or(self.spawn_config.driver);
        let recipe = Arc::new(self.spawn_config.for_session(session, home));
        Ok(Arc::new(ServerGroup::new(narrowed, account, recipe)))
    }

    /// Inserts a group, unless another one was inserted concurrently, and registers a call on the group in the pool.
    fn insert_or_get(self: &Arc<Self>, key: GroupKey, crew: Arc<ServerGroup>) -> Result<GroupLease> {
        let mut open = self.lock_state();
        if self.stop.is_cancelled() {
            return Err(Error::new(ErrorKind::Unavailable, "the server was stopped"));
        }
        if let Some(first) = open.touch(&key) {
            return Ok(first.lease());
        }
        while open.groups.len() >= self.limits.max_sessions {
            open.evict_lru()?;
        }
        while open.reapers.try_join_next().is_some() {}
        open.reapers.spawn(reap_when_idle(
            Arc::downgrade(self),
            Arc::clone(&crew),
            self.limits.idle_timeout,
            self.stop.clone(),
        ));
        open.groups.push((key, Arc::clone(&crew)));
        Ok(crew.lease())
    }

    /// Removes a group, so that later calls with its key get another group.
    fn remove(&self, crew: &Arc<ServerGroup>) {
        self.lock_state().groups.retain(|(_, known)| !Arc::ptr_eq(known, crew));
    }

    fn lock_state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock()
    }
}

/// Waits until a group is unused, lets calls in progress finish, and stops its servers.
async fn reap_when_idle(
    crews: Weak<NarrowedServerPool>,
    crew: Arc<ServerGroup>,
    idle: Duration,
    stop: CancellationToken,
) {
    let done = async {
        crew.wait_unused(idle).await;
        if let Some(crews) = crews.upgrade() {
            crews.remove(&crew);
        }
        crew.wait_idle().await;
    };
    tokio::select! {
        () = done => {}
        () = stop.cancelled() => {}
    }
    crew.stop().await;
}

impl PoolState {
    fn touch(&mut self, key: &GroupKey) -> Option<Arc<ServerGroup>> {
        let at = self.groups.iter().position(|(known, _)| known == key)?;
        self.groups[at..].rotate_left(1);
        self.groups.last().map(|(_, crew)| Arc::clone(crew))
    }

    /// Evicts the least recently called group that is idle. Its reaper task still holds it, and stops it.
    fn evict_lru(&mut self) -> Result<()> {
        let unused = self.groups.iter().position(|(_, crew)| !crew.is_busy());
        let unused = unused.ok_or_else(|| {
            Error::new(ErrorKind::Throttled, "servers are busy for as many narrowed sessions as there may be")
                .with_next_step("call again when other calls have ended")
        })?;
        let (_, crew) = self.groups.remove(unused);
        crew.evicted.cancel();
        Ok(())
    }
}

impl GroupKey {
    fn new(account: &SessionAccount, policy: Option<&SessionPolicy>) -> Result<Self> {
        let closed =
            || Error::new(ErrorKind::Closed, "the session is closed").with_next_step("open a new session");
        let session = account.session_id().ok_or_else(closed)?;
        let policy = policy.map(|policy| (account.alias().clone(), policy.digest()));
        Ok(Self { session, policy })
    }
}

type ServersByName = BTreeMap<String, Arc<Server>>;

pub(super) struct ServerGroup {
    /// The session narrowed for this group, which the group keeps open. `None` if the caller supplied the session and
    /// keeps it open itself.
    narrowed: Option<SessionContext>,
    /// An account of the group's session, used to detect the end of the session.
    account: SessionAccount,
    spawn_config: Arc<SpawnConfig>,
    /// The servers called so far, by name; `None` after the group was stopped.
    servers: Mutex<Option<ServersByName>>,
    active_calls: watch::Sender<usize>,
    /// Fires when the group is evicted in favour of another one.
    pub(super) evicted: CancellationToken,
}

impl ServerGroup {
    pub(super) fn new(
        narrowed: Option<SessionContext>,
        account: SessionAccount,
        spawn_config: Arc<SpawnConfig>,
    ) -> Self {
        Self {
            narrowed,
            account,
            spawn_config,
            servers: Mutex::new(Some(ServersByName::new())),
            active_calls: watch::Sender::new(0),
            evicted: CancellationToken::new(),
        }
    }

    /// Registers a call, which keeps the group from being evicted or stopped as idle.
    pub(super) fn lease(self: &Arc<Self>) -> GroupLease {
        self.active_calls.send_modify(|count| *count += 1);
        GroupLease(Arc::clone(self))
    }

    pub(super) fn is_busy(&self) -> bool {
        *self.active_calls.borrow() > 0
    }

    /// Whether the session has ended.
    pub(super) fn is_expired(&self) -> bool {
        self.account.is_closed()
    }

    /// Returns the group's own server like `model`, creating it if needed. It acts in `account`, unless the group has a
    /// session of its own.
    fn get_or_create_server(&self, model: &Server, account: &SessionAccount) -> Result<Arc<Server>> {
        let account = match &self.narrowed {
            Some(narrowed) => narrowed.account(narrowed.default_account())?,
            None => account.clone(),
        };
        let stopped = || Error::new(ErrorKind::Unavailable, "the server was stopped");
        let mut servers = self.lock_servers();
        let servers = servers.as_mut().ok_or_else(stopped)?;
        let create = || Arc::new(model.clone_for(account, Arc::clone(&self.spawn_config)));
        Ok(Arc::clone(servers.entry(model.name().to_owned()).or_insert_with(create)))
    }

    pub(super) fn all_servers(&self) -> Vec<Arc<Server>> {
        self.lock_servers().iter().flat_map(ServersByName::values).cloned().collect()
    }

    /// Waits until no call is in progress. Cancel safe.
    pub(super) async fn wait_idle(&self) {
        let mut under_way = self.active_calls.subscribe();
        // `wait_for` fails only without a sender, which lives as long as `self`.
        let _idle = under_way.wait_for(|count| *count == 0).await;
    }

    /// Waits until the session has ended, the group was evicted, or no call was made for `time`. Cancel safe.
    pub(super) async fn wait_unused(&self, time: Duration) {
        let unused = async {
            let mut under_way = self.active_calls.subscribe();
            while under_way.wait_for(|count| *count == 0).await.is_ok() {
                if timeout(time, under_way.changed()).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = unused => {}
            () = wait_ended(&self.account) => {}
            () = self.evicted.cancelled() => {}
        }
    }

    /// Stops the servers, waits until they have exited, and removes their folder.
    pub(super) async fn stop(&self) {
        let servers = self.lock_servers().take().unwrap_or_default();
        join_all(servers.values().map(|server| server.stop())).await;
        self.spawn_config.remove_session_dir().await;
    }

    fn lock_servers(&self) -> MutexGuard<'_, Option<ServersByName>> {
        self.servers.lock()
    }
}

async fn wait_ended(account: &SessionAccount) {
    if let Ok(mut rotations) = account.watch_rotations() {
        while rotations.changed().await.is_some() {}
    }
}

/// A call in progress on a group. The group is not stopped while the lease lives, unless its session or the host ends.
pub(super) struct GroupLease(Arc<ServerGroup>);

impl GroupLease {
    pub(super) fn group(&self) -> &Arc<ServerGroup> {
        &self.0
    }

    /// Returns the group's own server like `model`, for this call.
    pub(super) fn server(self, model: &Server, account: &SessionAccount) -> Result<ServerLease> {
        let server = self.0.get_or_create_server(model, account)?;
        Ok(ServerLease { server, _duty: self })
    }
}

impl Drop for GroupLease {
    fn drop(&mut self) {
        self.0.active_calls.send_modify(|count| *count -= 1);
    }
}

/// A server of a group, leased for one call.
pub(super) struct ServerLease {
    server: Arc<Server>,
    _duty: GroupLease,
}

impl Deref for ServerLease {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
