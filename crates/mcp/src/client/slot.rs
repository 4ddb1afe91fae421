//! `ClientSlot`: the clients of the server processes that are started with one configuration.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::{ClientLink, ClientProfile};

/// The profile that servers are initialized with, which is that of the first client; and the client that called last.
#[derive(Default)]
pub(crate) struct ClientSlot {
    profile: OnceLock<ClientProfile>,
    latest: Mutex<Option<Arc<dyn ClientLink>>>,
}

impl ClientSlot {
    /// Creates a slot for clients of this profile.
    pub(crate) fn with_profile(profile: ClientProfile) -> Self {
        Self { profile: profile.into(), latest: Mutex::default() }
    }

    /// Returns the profile of the servers' clients. From then on it is fixed.
    pub(crate) fn profile(&self) -> &ClientProfile {
        self.profile.get_or_init(ClientProfile::default)
    }

    /// Records a request of `client`, and returns whether it can use the servers of this slot, that is, whether its
    /// profile is that of the first client.
    pub(crate) fn admit(&self, client: Option<&Arc<dyn ClientLink>>) -> bool {
        let fixed = match client {
            Some(client) => self.profile.get_or_init(|| client.profile().clone()),
            None => self.profile(),
        };
        let Some(client) = client else { return true };
        let is_admitted = fixed == client.profile();
        if is_admitted {
            *self.latest.lock() = Some(Arc::clone(client));
        }
        is_admitted
    }

    /// Returns the client that called last. It takes the messages that a server sends while no call is in progress.
    pub(crate) fn latest(&self) -> Option<Arc<dyn ClientLink>> {
        self.latest.lock().clone()
    }
}
