//! `NarrowedServerPool`: the servers of a host's narrowed sessions, in one group for each session and policy.
//!
//! The servers of a [`ServerGroup`] share its credentials and its folder, and nothing with the servers of other groups.
//!
//! A moka cache finds the groups, limits their number and selects the group to evict. It holds weak references only:
//! moka drops values some time after they are removed. Each group is owned by its reaper task, which stops it when it
//! leaves the cache, when it is idle, or when its session ends, but never during a call. moka's idle time is not used,
//! since it begins when a group is found, and not when its last call ends.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use valetkey_core::{Error, ErrorKind, Result, SessionAccount, SessionContext};

use super::authority::{CallAuthority, GroupKey};
use super::internal_error;
use crate::child::SessionDir;
use crate::client::{ClientLink, ClientProfile, ClientSlot};
use crate::server::{CallCounter, ServerHandle, SpawnConfig, with_set_credentials_hint};

/// Limits of a pool: the number of groups, and the idle time after which a group is stopped.
#[derive(Clone, Copy)]
pub(super) struct NarrowedLimits {
    pub(super) max_sessions: usize,
    pub(super) idle_timeout: Duration,
}

/// Finds or creates the server for a call of a narrowed session.
///
/// Invariant: a group is found and leased, or removed, under the lock of `reapers`. So a removed group gets no further
/// lease, and its reaper waits for the leases that it has.
pub(super) struct NarrowedServerPool {
    /// The spawn configuration of the host's own session.
    spawn_config: Arc<SpawnConfig>,
    limits: NarrowedLimits,
    stop: CancellationToken,
    /// Created with the first group: an empty cache takes 32 KiB, and most sessions have no narrowed ones.
    groups: OnceLock<Cache<GroupKey, PooledGroup>>,
    /// One task for each group, which owns the group and stops it in the end. The lock is held while a group is found,
    /// inserted or removed, so that a removed group waits for every call that found it.
    reapers: Mutex<JoinSet<()>>,
}

/// A group in the cache. The reference is weak, because moka keeps a removed value for some time.
#[derive(Clone)]
struct PooledGroup {
    group: Weak<ServerGroup>,
    /// Fires when the cache removes the group.
    removed: CancellationToken,
}

impl NarrowedServerPool {
    pub(super) fn new(spawn_config: Arc<SpawnConfig>, limits: NarrowedLimits) -> Self {
        let (stop, groups, reapers) = (CancellationToken::new(), OnceLock::new(), Mutex::default());
        Self { spawn_config, limits, stop, groups, reapers }
    }

    fn groups(&self) -> &Cache<GroupKey, PooledGroup> {
        self.groups.get_or_init(|| {
            let limit = self.limits.max_sessions.try_into().unwrap_or(u64::MAX);
            let cache = Cache::builder().max_capacity(limit).eviction_policy(EvictionPolicy::lru());
            cache.eviction_listener(|_key, group: PooledGroup, _cause| group.removed.cancel()).build()
        })
    }

    /// Leases a copy of the server `model` that is dedicated to this account and policy. `selected` is the name of the
    /// account if it is not the usual one of the server. The copy is created on first use, and its process is started
    /// at its first call.
    pub(super) fn lease_server(
        self: &Arc<Self>,
        model: &ServerHandle,
        authority: CallAuthority<'_>,
        client: Option<&Arc<dyn ClientLink>>,
    ) -> Result<ServerLease> {
        let with_server = |error: Error| error.with_provider(model.name().to_owned());
        let profile = client.map(|client| client.profile().clone()).unwrap_or_default();
        let key = GroupKey::new(&authority, profile.clone()).map_err(with_server)?;
        let find = |_removals| self.get(&key).map(|group| group.lease(model, authority.account));
        let leased = match find(self.reapers.lock()) {
            Some(leased) => leased,
            None => {
                let group = self.create_group(&authority, profile)?;
                let mut reapers = self.reapers.lock();
                let group = self.insert_or_get(key, group, &mut reapers);
                group.and_then(|group| group.lease(model, authority.account))
            }
        };
        let leased = leased.map_err(with_server)?;
        leased.group.spawn_config.clients.admit(client);
        Ok(leased)
    }

    /// Returns the servers of all groups.
    pub(super) fn servers(&self) -> Vec<Arc<ServerHandle>> {
        self.open_groups().flat_map(|(_, group)| group.all_servers()).collect()
    }

    /// Removes the servers that are not copies of one of `models`, and returns them.
    pub(super) fn remove_outdated(&self, models: &[Arc<ServerHandle>]) -> Vec<Arc<ServerHandle>> {
        self.open_groups().flat_map(|(_, group)| group.remove_outdated(models)).collect()
    }

    /// Stops all groups and waits until their servers have exited. No group is added afterwards.
    pub(super) async fn stop(&self) {
        let mut reapers = {
            let mut reapers = self.reapers.lock();
            self.stop.cancel();
            std::mem::take(&mut *reapers)
        };
        while reapers.join_next().await.is_some() {}
    }

    /// Returns a group whose session has not ended.
    fn get(&self, key: &GroupKey) -> Option<Arc<ServerGroup>> {
        let groups = self.groups.get()?;
        let group = groups.get(key)?.group.upgrade()?;
        if group.is_expired() {
            groups.invalidate(key);
            return None;
        }
        Some(group)
    }

    fn open_groups(&self) -> impl Iterator<Item = (Arc<GroupKey>, Arc<ServerGroup>)> {
        let pooled = self.groups.get().into_iter().flat_map(Cache::iter);
        pooled.filter_map(|(key, pooled)| Some((key, pooled.group.upgrade()?)))
    }

    /// Creates a group without servers, for a session narrowed by `policy` if there is one.
    fn create_group(
        &self,
        authority: &CallAuthority<'_>,
        profile: ClientProfile,
    ) -> Result<Arc<ServerGroup>> {
        let CallAuthority { account, policy, .. } = authority;
        let narrowed = policy
            .map(|policy| account.narrow(policy.clone()))
            .transpose()
            .map_err(|error| with_set_credentials_hint(error, account))?;
        let account = match &narrowed {
            Some(narrowed) => narrowed.account(narrowed.default_account())?,
            None => (*account).clone(),
        };
        let dir = SessionDir::create(Some(&account.resolved_region()))
            .and_then(|dir| dir.with_configuration(&self.spawn_config.environment))
            .map_err(internal_error("the narrowed session's own folder cannot be made"))?;
        let session = account.session_id().unwrap_or(self.spawn_config.driver);
        let spawn_config = self.spawn_config.for_session(session, dir, ClientSlot::with_profile(profile));
        Ok(Arc::new(ServerGroup::new(narrowed, account, Arc::new(spawn_config))))
    }

    /// Inserts a group, unless another one was inserted concurrently, and returns the group in the pool.
    fn insert_or_get(
        self: &Arc<Self>,
        key: GroupKey,
        group: Arc<ServerGroup>,
        reapers: &mut JoinSet<()>,
    ) -> Result<Arc<ServerGroup>> {
        if self.stop.is_cancelled() {
            return Err(stopped_error());
        }
        if let Some(first) = self.get(&key) {
            return Ok(first);
        }
        self.protect_busy_groups()?;
        while reapers.try_join_next().is_some() {}
        let reaper = Reaper {
            pool: Arc::downgrade(self),
            key: key.clone(),
            group: Arc::clone(&group),
            removed: CancellationToken::new(),
        };
        let pooled = PooledGroup { group: Arc::downgrade(&group), removed: reaper.removed.clone() };
        reapers.spawn(reaper.run(self.limits.idle_timeout, self.stop.clone()));
        self.groups().insert(key, pooled);
        // Evicts now: the processes of the evicted group must not linger.
        self.groups().run_pending_tasks();
        Ok(group)
    }

    /// Makes the next insertion evict an idle group, if it evicts one: groups with calls in progress count as called
    /// last.
    fn protect_busy_groups(&self) -> Result<()> {
        self.groups().run_pending_tasks();
        let groups: Vec<_> = self.open_groups().collect();
        if groups.len() < self.limits.max_sessions {
            return Ok(());
        }
        if groups.iter().all(|(_, group)| group.is_busy()) {
            let message = "servers are busy for as many narrowed sessions as there may be";
            return Err(Error::new(ErrorKind::Throttled, message)
                .with_next_step("call again when other calls have ended"));
        }
        for (key, _) in groups.iter().filter(|(_, group)| group.is_busy()) {
            self.groups().get(&**key);
        }
        Ok(())
    }
}

/// Owns a group, and stops its servers when it is no longer used.
struct Reaper {
    pool: Weak<NarrowedServerPool>,
    key: GroupKey,
    group: Arc<ServerGroup>,
    removed: CancellationToken,
}

impl Reaper {
    /// Waits until the group is unused, lets calls in progress finish, and stops its servers.
    async fn run(self, idle_timeout: Duration, stop: CancellationToken) {
        let drained = async {
            tokio::select! {
                () = self.group.wait_unused(idle_timeout) => {}
                () = self.removed.cancelled() => {}
            }
            self.remove_from_pool();
            self.group.active_calls.wait_idle().await;
        };
        tokio::select! {
            () = drained => {}
            () = stop.cancelled() => {}
        }
        self.group.stop().await;
    }

    /// Removes the group, so that later calls with its key get another group.
    fn remove_from_pool(&self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let _removals = pool.reapers.lock();
        let pooled = pool.groups().get(&self.key);
        if pooled.is_some_and(|pooled| Weak::ptr_eq(&pooled.group, &Arc::downgrade(&self.group))) {
            pool.groups().invalidate(&self.key);
        }
    }
}

type ServersByName = BTreeMap<String, Arc<ServerHandle>>;

/// The servers that run with the same authority, in one folder.
///
/// Invariant: after `stop`, `servers` is `None`, and no server is added.
struct ServerGroup {
    /// The session narrowed for this group, which the group keeps open. `None` if the caller supplied the session and
    /// keeps it open itself.
    narrowed: Option<SessionContext>,
    /// An account of the group's session, used to detect the end of the session.
    account: SessionAccount,
    spawn_config: Arc<SpawnConfig>,
    /// The servers called so far, by name; `None` after the group was stopped.
    servers: Mutex<Option<ServersByName>>,
    active_calls: CallCounter,
    /// The subscriptions to resources of the servers.
    watches: CallCounter,
}

impl ServerGroup {
    fn new(
        narrowed: Option<SessionContext>,
        account: SessionAccount,
        spawn_config: Arc<SpawnConfig>,
    ) -> Self {
        Self {
            narrowed,
            account,
            spawn_config,
            servers: Mutex::new(Some(ServersByName::new())),
            active_calls: CallCounter::default(),
            watches: CallCounter::default(),
        }
    }

    /// Registers a call on the group's own server like `model`. It keeps the group from being evicted or stopped as
    /// idle.
    fn lease(self: &Arc<Self>, model: &ServerHandle, account: &SessionAccount) -> Result<ServerLease> {
        let server = self.get_or_create_server(model, account)?;
        self.active_calls.begin();
        Ok(ServerLease { server, group: Arc::clone(self) })
    }

    fn is_busy(&self) -> bool {
        !self.active_calls.is_idle() || !self.watches.is_idle()
    }

    /// Whether the session has ended.
    fn is_expired(&self) -> bool {
        self.account.is_closed()
    }

    /// Returns the group's own server like `model`, creating it if needed. A server with an earlier configuration is
    /// replaced, and killed when its calls in progress have ended. It acts in `account`, unless the group has a
    /// session of its own.
    fn get_or_create_server(
        &self,
        model: &ServerHandle,
        account: &SessionAccount,
    ) -> Result<Arc<ServerHandle>> {
        let account = match &self.narrowed {
            Some(narrowed) => narrowed.account(narrowed.default_account())?,
            None => account.clone(),
        };
        let mut servers = self.servers.lock();
        let servers = servers.as_mut().ok_or_else(stopped_error)?;
        let create = || Arc::new(model.clone_for(account, Arc::clone(&self.spawn_config)));
        servers.retain(|name, server| name != model.name() || server.config() == model.config());
        Ok(Arc::clone(servers.entry(model.name().to_owned()).or_insert_with(create)))
    }

    fn remove_outdated(&self, models: &[Arc<ServerHandle>]) -> Vec<Arc<ServerHandle>> {
        let is_current = |server: &ServerHandle| {
            models.iter().any(|model| model.name() == server.name() && model.config() == server.config())
        };
        let mut servers = self.servers.lock();
        let Some(servers) = servers.as_mut() else { return Vec::new() };
        let outdated = servers.extract_if(.., |_, server| !is_current(server));
        outdated.map(|(_, server)| server).collect()
    }

    fn all_servers(&self) -> Vec<Arc<ServerHandle>> {
        self.servers.lock().iter().flat_map(ServersByName::values).cloned().collect()
    }

    /// Waits until the session has ended, or no call was made for `idle_timeout` and there is no subscription. Cancel
    /// safe.
    async fn wait_unused(&self, idle_timeout: Duration) {
        let unused = async {
            loop {
                self.watches.wait_idle().await;
                self.active_calls.wait_unused(idle_timeout).await;
                if self.watches.is_idle() {
                    return;
                }
            }
        };
        tokio::select! {
            () = unused => {}
            () = wait_ended(&self.account) => {}
        }
    }

    /// Stops the servers, waits until they have exited, and removes their folder.
    async fn stop(&self) {
        let servers = self.servers.lock().take().unwrap_or_default();
        join_all(servers.values().map(|server| server.stop())).await;
        self.spawn_config.remove_session_dir().await;
    }
}

fn stopped_error() -> Error {
    Error::new(ErrorKind::Unavailable, "the server was stopped")
}

/// Waits until the session of `account` has ended, which ends the stream of its rotations. Returns at once if it has
/// ended already.
async fn wait_ended(account: &SessionAccount) {
    if let Ok(mut rotations) = account.watch_rotations() {
        while rotations.changed().await.is_some() {}
    }
}

/// A server of a group, leased for one call. The group is not stopped while the lease lives, unless its session or the
/// host ends.
pub(super) struct ServerLease {
    server: Arc<ServerHandle>,
    group: Arc<ServerGroup>,
}

impl ServerLease {
    /// Keeps the group, beyond this lease, until the returned value is dropped or the session ends.
    pub(super) fn watch(&self) -> GroupWatch {
        self.group.watches.begin();
        GroupWatch(Arc::clone(&self.group))
    }
}

/// A subscription to a resource of a server of a group.
pub(super) struct GroupWatch(Arc<ServerGroup>);

impl Drop for GroupWatch {
    fn drop(&mut self) {
        self.0.watches.end();
    }
}

impl Deref for ServerLease {
    type Target = Arc<ServerHandle>;

    fn deref(&self) -> &Arc<ServerHandle> {
        &self.server
    }
}

impl Drop for ServerLease {
    fn drop(&mut self) {
        self.group.active_calls.end();
    }
}
