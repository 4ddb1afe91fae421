//! `Lister`: lists a server's tools whenever that is wanted, one round at a time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::Result;

use super::{Facts, Listed, Request};
use crate::connection::RequestError;

pub(super) struct Lister {
    pub(super) facts: Arc<Facts>,
    /// Weak: the supervisor ends when no caller is left.
    pub(super) requests: mpsc::WeakSender<Request>,
    pub(super) timeout: Duration,
}

impl Lister {
    /// Never ends by itself.
    pub(super) async fn run(self) {
        loop {
            self.facts.tools.begin().await;
            let listed = self.list().await;
            self.facts.tools.finish(listed);
        }
    }

    /// The server's tools, as it describes them, secrets masked.
    async fn list(&self) -> Result<Listed> {
        let requests = self.requests.upgrade().ok_or_else(|| self.facts.ended())?;
        let call = self.facts.begin(&requests).await?;
        drop(requests);
        if let Some(tools) = call.listed() {
            return Ok(Listed { tools, incomplete: None });
        }
        let over = CancellationToken::new();
        let mut listing = pin!(call.connection().list_tools(&over));
        let (mut tools, incomplete) = match timeout(self.timeout, &mut listing).await {
            Ok(listed) => listed,
            Err(_elapsed) => {
                over.cancel();
                let (tools, incomplete) = listing.await;
                (tools, incomplete.map(|_cancelled| RequestError::TimedOut(self.timeout)))
            }
        };
        let incomplete = match incomplete {
            Some(error) => Some(self.facts.explain(error, &call).await),
            None => None,
        };
        let filter = &self.facts.config.tools;
        tools.retain(|tool| tool["name"].as_str().is_none_or(|name| filter.allows(name)));
        tools.iter_mut().for_each(|tool| self.facts.recipe.redactor.mask_json(tool));
        match incomplete {
            Some(error) if tools.is_empty() => return Err(error),
            Some(_) => {}
            None => call.keep_listed(&tools),
        }
        Ok(Listed { tools, incomplete })
    }
}
