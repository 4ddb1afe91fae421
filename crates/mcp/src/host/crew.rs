//! `ServerGroup`: the servers that run for one narrowed session. They share its credentials and its folder, and nothing
//! with the servers of other sessions.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::{Error, ErrorKind, Result, SessionAccount, SessionContext};

use super::launch::SpawnConfig;
use super::server::Server;

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
