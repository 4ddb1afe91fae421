//! `ToolLister`: lists a server's tools on request, one round at a time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::Result;

use super::{CallRequest, ServerShared, ToolList};
use crate::connection::RequestError;

pub(super) struct ToolLister {
    pub(super) shared: Arc<ServerShared>,
    /// Weak, because the supervisor ends when all other senders are dropped.
    pub(super) call_requests: mpsc::WeakSender<CallRequest>,
    pub(super) timeout: Duration,
}

impl ToolLister {
    /// Runs rounds until dropped.
    pub(super) async fn run(self) {
        loop {
            self.shared.tool_cache.begin_round().await;
            let listed = self.list_tools().await;
            self.shared.tool_cache.finish_round(listed);
        }
    }

    /// Fetches the tool definitions from the server, filtered and with secrets masked.
    async fn list_tools(&self) -> Result<ToolList> {
        let requests = self.call_requests.upgrade().ok_or_else(|| self.shared.stopped_error())?;
        let call = self.shared.begin_call(&requests).await?;
        drop(requests);
        if let Some(tools) = call.cached_tools() {
            return Ok(ToolList { tools, incomplete: None });
        }
        let cancel = CancellationToken::new();
        let mut listing = pin!(call.connection().list_tools(&cancel));
        let (mut tools, incomplete) = match timeout(self.timeout, &mut listing).await {
            Ok(listed) => listed,
            Err(_elapsed) => {
                cancel.cancel();
                let (tools, incomplete) = listing.await;
                (tools, incomplete.map(|_cancelled| RequestError::TimedOut(self.timeout)))
            }
        };
        let incomplete = match incomplete {
            Some(error) => Some(self.shared.to_error(error, &call).await),
            None => None,
        };
        let filter = &self.shared.config.tools;
        tools.retain(|tool| tool["name"].as_str().is_none_or(|name| filter.allows(name)));
        tools.iter_mut().for_each(|tool| self.shared.spawn_config.redactor.mask_json(tool));
        match incomplete {
            Some(error) if tools.is_empty() => return Err(error),
            Some(_) => {}
            None => call.cache_tools(&tools),
        }
        Ok(ToolList { tools, incomplete })
    }
}
