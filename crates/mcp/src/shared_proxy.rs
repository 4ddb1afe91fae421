//! The signing proxy that the servers of hosts share, and the placeholders of their processes.

use std::sync::Arc;

use tokio::sync::OnceCell;
use uuid::Uuid;
use valetkey_core::{Clock, Result, SessionAccount};
use valetkey_signing::{Placeholder, ProxySettings, Rules, SigningProxy};

use crate::Redactor;
use crate::child::{HostEnvironment, ProcessTree};

/// The signing proxy of one or more hosts, which is started with the first server that needs it. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct SharedProxy(Arc<OnceCell<SigningProxy>>);

impl SharedProxy {
    /// Returns the proxy, which sends requests where the host's environment sends them.
    ///
    /// # Cancel safety
    /// If the future that starts the proxy is dropped, the next caller starts it.
    pub(crate) async fn get(
        &self,
        environment: &HostEnvironment,
        clock: Arc<dyn Clock>,
    ) -> Result<&SigningProxy> {
        let start = || async {
            let settings =
                ProxySettings::default().clock(clock).variables(environment.upstream_variables())?;
            SigningProxy::start_with(settings).await
        };
        self.0.get_or_try_init(start).await
    }

    /// Stops the proxy if it was started.
    pub(crate) async fn stop(&self) {
        if let Some(proxy) = self.0.get() {
            proxy.stop().await;
        }
    }
}

impl From<SigningProxy> for SharedProxy {
    fn from(proxy: SigningProxy) -> Self {
        Self(Arc::new(OnceCell::new_with(Some(proxy))))
    }
}

/// The placeholder of one process, which only this process and its descendants can use. Its secrets are masked while it
/// is valid, since they could be used through any of these.
pub(crate) struct MaskedPlaceholder {
    placeholder: Placeholder,
    process: Arc<ProcessTree>,
    redactor: Arc<Redactor>,
    /// Identifies the secrets in the redactor.
    id: Uuid,
}

impl MaskedPlaceholder {
    pub(crate) fn new(
        proxy: &SigningProxy,
        account: SessionAccount,
        holder: &str,
        rules: Rules,
        redactor: &Arc<Redactor>,
    ) -> Self {
        let process = Arc::new(ProcessTree::new());
        let placeholder = proxy.placeholder(account, holder, rules).restrict_to(Arc::clone(&process) as _);
        let id = Uuid::new_v4();
        redactor.add_grant(id, &[placeholder.expose_secret_access_key(), placeholder.expose_session_token()]);
        Self { placeholder, process, redactor: Arc::clone(redactor), id }
    }

    /// Sets the process that can use the placeholder. Its requests wait for this.
    pub(crate) fn started(&self, pid: u32) {
        self.process.started(pid);
    }

    pub(crate) fn placeholder(&self) -> &Placeholder {
        &self.placeholder
    }
}

impl Drop for MaskedPlaceholder {
    fn drop(&mut self) {
        self.redactor.remove_grant(self.id);
    }
}
