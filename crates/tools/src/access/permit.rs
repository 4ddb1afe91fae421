//! `RequestLimit`: how often a model may make a request to the person.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use parking_lot::Mutex;
use valetkey_core::{Error, ErrorKind, Result, SessionContext};

/// After so many refusals in succession, the person is not disturbed again.
const MAX_REFUSALS: u32 = 3;

/// Allows one request at a time, and none after three refusals in succession.
#[derive(Debug, Default)]
pub(crate) struct RequestLimit(Mutex<RequestState>);

#[derive(Debug, Default)]
struct RequestState {
    is_waiting: bool,
    refusals: u32,
}

impl RequestLimit {
    /// Returns the permit for one request.
    ///
    /// # Errors
    /// `Throttled` while another request waits, `Denied` after too many refusals.
    pub(crate) fn begin(&self) -> Result<RequestPermit<'_>> {
        let mut state = self.0.lock();
        if state.refusals >= MAX_REFUSALS {
            let message = "the person has refused as many requests as this session may make";
            return Err(Error::new(ErrorKind::Denied, message)
                .with_next_step("continue without it, and report to the user what could not be done"));
        }
        if std::mem::replace(&mut state.is_waiting, true) {
            let message = "another request waits for the person";
            return Err(Error::new(ErrorKind::Throttled, message).with_next_step("wait until it is decided"));
        }
        Ok(RequestPermit { limit: self, is_ended: false })
    }
}

/// A request that waits for the person. One that is dropped counts as refused.
#[derive(Debug)]
pub(crate) struct RequestPermit<'a> {
    limit: &'a RequestLimit,
    is_ended: bool,
}

impl RequestPermit<'_> {
    /// Ends the request: it was granted, or has failed.
    pub(crate) fn end(&mut self, failure: Option<&Error>) {
        self.is_ended = true;
        let mut state = self.limit.0.lock();
        state.is_waiting = false;
        match failure {
            None => state.refusals = 0,
            // The person has not seen the request.
            Some(error) if error.kind() == ErrorKind::NotConfigured => {}
            Some(_) => state.refusals += 1,
        }
    }
}

impl Drop for RequestPermit<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(Some(&Error::new(ErrorKind::Unavailable, "the call ended before a decision")));
        }
    }
}

/// Waits for the person, or for the end of the session, after which there is nothing to decide.
pub(crate) async fn while_open<T>(
    session: &SessionContext,
    decision: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (mut ended, mut decided) = (pin!(session.closed()), pin!(decision));
    poll_fn(|context| match ended.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(Err(session_ended())),
        Poll::Pending => decided.as_mut().poll(context),
    })
    .await
}

pub(crate) fn session_ended() -> Error {
    Error::new(ErrorKind::Closed, "the session has ended; nothing was granted")
}
