//! `SessionContext::scope`: a session that ends with one piece of work.

use super::{SessionBuilder, SessionContext};

impl SessionContext {
    /// Builds a session, runs `work` with it, and closes it. The session is also closed when `work` panics, and when
    /// the returned future is dropped before it completes. Handles that `work` passed on are closed with it.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, SessionContext};
    /// # async fn demo(credentials: Credentials) -> valetkey_core::Result<()> {
    /// let kept = SessionContext::scope(SessionContext::builder(), async |session: SessionContext| {
    ///     session.set_credentials(credentials)?;
    ///     session.credentials().await?;
    ///     Ok::<_, valetkey_core::Error>(session)
    /// })
    /// .await?;
    /// assert!(kept.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn scope<T>(builder: SessionBuilder, work: impl AsyncFnOnce(SessionContext) -> T) -> T {
        let session = CloseScopeOnDrop(builder.build());
        work(session.0.clone()).await
    }
}

struct CloseScopeOnDrop(SessionContext);

impl Drop for CloseScopeOnDrop {
    fn drop(&mut self) {
        self.0.close_quietly();
    }
}
