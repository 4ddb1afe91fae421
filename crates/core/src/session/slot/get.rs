//! `Get`: the future of a caller who asks for credentials: a few words long, and boxed only when it has to wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use super::Slot;
use crate::{Credentials, Result};

/// Answers at the first poll while the set in hand is fresh, which is checked then and not before.
pub(in crate::session) struct Get<'a> {
    slot: &'a Arc<Slot>,
    wait: Option<BoxFuture<'a, Result<Credentials>>>,
}

impl Slot {
    /// The current, valid set; fetched first if need be.
    #[inline]
    pub(in crate::session) fn credentials(self: &Arc<Self>) -> Get<'_> {
        Get { slot: self, wait: None }
    }
}

impl Slot {
    /// What `wait` answers, in the place of what this account serves.
    pub(in crate::session) fn credentials_by<'a>(
        self: &'a Arc<Self>,
        wait: BoxFuture<'a, Result<Credentials>>,
    ) -> Get<'a> {
        Get { slot: self, wait: Some(wait) }
    }
}

impl Future for Get<'_> {
    type Output = Result<Credentials>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.wait {
            None => match self.slot.fresh() {
                Some(fresh) => Poll::Ready(Ok(fresh)),
                None => self.wait(context),
            },
            Some(wait) => wait.as_mut().poll(context),
        }
    }
}

impl Get<'_> {
    #[cold]
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Result<Credentials>> {
        let slot = self.slot;
        self.wait.insert(Box::pin(slot.decide())).as_mut().poll(context)
    }
}
