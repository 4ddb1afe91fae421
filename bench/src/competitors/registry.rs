//! valetkey's registry: finds a session by principal and handle, then fetches its credentials.

use valetkey_core::{
    Credentials, Error, Principal, SessionBuilder, SessionContext, SessionGuard, SessionHandle,
    SessionRegistry,
};

use super::valetkey::session_builder;
use crate::Result;
use crate::fake_source::{Script, Upstream};
use crate::subject::Subject;

/// The key of the middle one of many sessions.
pub(crate) struct RegistryFind {
    registry: SessionRegistry,
    principal: Principal,
    handle: SessionHandle,
}

impl RegistryFind {
    pub(crate) fn with_entries(count: u64) -> Result<Self> {
        let registry = build_registry(count)?;
        let open = |number| {
            let principal = numbered_principal(number)?;
            let opened = registry.open(principal.clone(), session_builder(Upstream::new(Script::WARM)))?;
            Ok((principal, opened.handle()))
        };
        let all = (0..count).map(open).collect::<Result<Vec<_>>>()?;
        let (principal, handle) = all.into_iter().nth(usize::try_from(count / 2)?).ok_or("no session")?;
        Ok(Self { registry, principal, handle })
    }
}

impl Subject for RegistryFind {
    type Fetched = Credentials;
    type FetchError = Error;

    async fn fetch(&self) -> std::result::Result<Credentials, Error> {
        self.registry.find(&self.principal, &self.handle)?.credentials().await
    }
}

/// Creates a session outside of a registry that has fetched its credentials.
pub(crate) async fn warm_session() -> Result<SessionContext> {
    let session = session_builder(Upstream::new(Script::WARM)).build();
    session.credentials().await?;
    Ok(session)
}

/// Creates a registry with a capacity of `count` sessions.
pub(crate) fn build_registry(count: u64) -> Result<SessionRegistry> {
    Ok(SessionRegistry::builder().max_sessions(usize::try_from(count)?).build())
}

/// Returns one of many principals.
pub(crate) fn numbered_principal(number: u64) -> valetkey_core::Result<Principal> {
    Principal::parse("principal", &format!("tenant-{:04}/user-{number:06}", number % 100))
}

/// Opens a session of its own principal in the registry.
pub(crate) fn open_session(
    registry: &SessionRegistry,
    number: u64,
    session: SessionBuilder,
) -> Result<SessionContext> {
    let opened: SessionGuard = registry.open(numbered_principal(number)?, session)?;
    Ok(SessionContext::clone(&opened))
}
