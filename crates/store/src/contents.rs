//! `SessionContents`: what a record holds of a session, and its serialized form.

mod secret_text;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde_json::{Map, Value};
use valetkey_core::{
    AccountName, CredentialId, Credentials, Expiry, Region, RoleArn, SessionHandle, SessionId, SessionPolicy,
};
use zeroize::Zeroizing;

use crate::{MAX_CONTENTS, RecordError};

/// What a record holds of a session, so that any node can build the session again.
///
/// Only credentials that were set on the session are in it. What a node can derive again is a description: a role, a
/// secret, an id of a resolver. `Debug` shows no secret and no service context.
///
/// # Examples
/// ```
/// use valetkey_core::{AccountName, SessionId};
/// use valetkey_store::{AccountContents, CredentialSource, SessionContents};
///
/// let mut contents = SessionContents::new(SessionId::random());
/// let prod: AccountName = "prod".parse()?;
/// contents.accounts.insert(prod.clone(), AccountContents::new(CredentialSource::Configured));
///
/// let bytes = contents.to_bytes()?;
/// let read = SessionContents::from_bytes(&bytes)?;
/// assert!(matches!(read.accounts[&prod].source, CredentialSource::Configured));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SessionContents {
    /// The id of the session in status and audit records, on every node.
    pub session: SessionId,
    /// The account of a call that names none.
    pub default_account: AccountName,
    /// The label that the client gave the session.
    pub label: Option<String>,
    /// The region of the session.
    pub region: Option<Region>,
    /// Where each account has its credentials from.
    pub accounts: BTreeMap<AccountName, AccountContents>,
    /// The description of the service that the session works on.
    pub service_context: Option<Map<String, Value>>,
    /// The sessions that were narrowed from this one, for sub-agents.
    pub narrowed: Vec<StoredNarrowing>,
}

impl SessionContents {
    /// Returns the contents of a session with the default account's name, and nothing else.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            default_account: AccountName::default_account(),
            label: None,
            region: None,
            accounts: BTreeMap::new(),
            service_context: None,
            narrowed: Vec::new(),
        }
    }

    /// Returns the serialized contents, to be [sealed](crate::KeyRing::seal). They hold secrets; the buffer is cleared
    /// when it is dropped, and no other buffer has held them.
    ///
    /// # Errors
    /// [`RecordError::Oversized`] if they are larger than [`MAX_CONTENTS`].
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, RecordError> {
        let session = wire::Session::from_contents(self);
        let mut size = ByteCount(0);
        serde_json::to_writer(&mut size, &session).map_err(|_echo| RecordError::Malformed)?;
        if size.0 > MAX_CONTENTS {
            return Err(RecordError::Oversized);
        }
        // The exact size: a buffer that grows leaves a copy of the secrets behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(size.0));
        serde_json::to_writer(&mut *bytes, &session).map_err(|_echo| RecordError::Malformed)?;
        Ok(bytes)
    }

    /// Reads serialized contents.
    ///
    /// # Errors
    /// - [`RecordError::Oversized`] if they are larger than [`MAX_CONTENTS`]; they are not parsed then.
    /// - [`RecordError::UnknownFormat`] if another version of valetkey wrote them in a form that this one does not know.
    /// - [`RecordError::Malformed`] if a part breaks its rule, or is unknown: it could be a restriction.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_CONTENTS {
            return Err(RecordError::Oversized);
        }
        wire::parse(bytes)
    }
}

impl fmt::Debug for SessionContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionContents")
            .field("session", &self.session)
            .field("accounts", &self.accounts)
            .field("narrowed", &self.narrowed)
            .finish_non_exhaustive()
    }
}

/// What a record holds of one account.
#[derive(Debug, Clone)]
pub struct AccountContents {
    /// The region of the account.
    pub region: Option<Region>,
    /// Where the credentials come from.
    pub source: CredentialSource,
    /// What the provider of the account has issued last, for the other nodes.
    pub issued: Option<IssuedCredentials>,
}

/// Temporary credentials that the provider of an account has issued on one node. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct IssuedCredentials {
    /// The credentials.
    pub credentials: Credentials,
    /// Identifies the configuration of the node. A node with another one does not use them.
    pub configuration: String,
}

impl AccountContents {
    /// Returns the contents of an account without a region of its own.
    #[must_use]
    pub const fn new(source: CredentialSource) -> Self {
        Self { region: None, source, issued: None }
    }
}

/// Where an account has its credentials from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CredentialSource {
    /// The provider that the configuration of the node names for this account.
    Configured,
    /// Nothing: the account was cleared, and no provider may be called for it.
    Cleared,
    /// A role.
    Role {
        /// The role to assume.
        role: RoleArn,
        /// The account whose credentials assume it.
        base: AccountName,
    },
    /// A secret that holds the credentials.
    Secret {
        /// The name or the ARN of the secret.
        id: String,
    },
    /// An id that the session's resolver looks up.
    Resolved {
        /// The id.
        id: CredentialId,
    },
    /// Credentials that were set on the account. They exist nowhere else.
    Set(Credentials),
}

/// A session that was narrowed from another one: how, and until when. The restrictions of the session that it was narrowed
/// from apply as well.
#[derive(Debug, Clone)]
pub struct StoredNarrowing {
    /// The handle with which calls select it.
    pub handle: SessionHandle,
    /// Its id in status and audit records, on every node.
    pub session: SessionId,
    /// The handle of the session that it was narrowed from, or `None` for that of the record.
    pub parent: Option<SessionHandle>,
    /// The accounts that may be used (default: all).
    pub accounts: Option<Vec<AccountName>>,
    /// The policy that applies to every account.
    pub policy: Option<SessionPolicy>,
    /// When it ends (default: with its record).
    pub ends_at: Expiry,
}

/// Counts bytes and keeps none.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
