//! `Revocation`: the end of the credentials that a request was signed with.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use valetkey_core::{Credentials, CredentialsVersion, SessionAccount};

use crate::payload::{BodyError, ForwardedBody};
use crate::refusal::Refusal;

/// Completes when the credentials of a request are cleared, or their session ends. A request that was already sent must
/// then stop: what it still transfers was permitted by credentials that are no longer to be used. Credentials that are
/// only replaced may finish their work.
pub(super) struct Revocation(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Revocation {
    /// Returns valid credentials of the account, with their revocation.
    ///
    /// # Cancel safety
    /// As [`SessionAccount::credentials`]: a fetch that others wait for continues.
    pub(super) async fn credentials(account: &SessionAccount) -> Result<(Credentials, Self), Refusal> {
        let fetched = account.credentials().await.map_err(|error| Refusal::from(&error))?;
        // The version belongs to the credentials that are used, which may be newer than those that were fetched.
        let (credentials, version) = match account.current() {
            Some(current) => (current.credentials, Some(current.id)),
            None => (fetched, None),
        };
        let watched = wait_revoked(account.clone(), version);
        Ok((credentials, Self(Box::pin(watched))))
    }

    /// Runs `work` until the credentials are revoked.
    pub(super) async fn guard<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            () = &mut self.0 => Err(Refusal::denied("the credentials were cleared during the request")),
            result = work => Ok(result),
        }
    }

    /// Returns `body`, which ends with an error when the credentials are revoked.
    pub(super) fn guard_body(self, body: ForwardedBody) -> ForwardedBody {
        GuardedBody { inner: body, revocation: self }.boxed_unsync()
    }
}

async fn wait_revoked(account: SessionAccount, version: Option<CredentialsVersion>) {
    let Ok(mut rotations) = account.watch_rotations() else { return };
    loop {
        let is_cleared =
            version.map_or_else(|| account.is_cleared(), |version| account.was_cleared_since(version));
        if is_cleared || rotations.changed().await.is_none() {
            return;
        }
    }
}

struct GuardedBody {
    inner: ForwardedBody,
    revocation: Revocation,
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = self.get_mut();
        if body.revocation.0.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("the credentials were cleared during the response".into())));
        }
        Pin::new(&mut body.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
