//! `CredentialsInner`: what is behind `Credentials`, in one allocation: the parts of a set, and how a session came by it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::session::{Issued, Sentinel};
use crate::{AccessKeyId, AccountId, Region};

pub(crate) struct CredentialsInner {
    pub(super) data: CredentialsData,
    pub(super) metadata: Issued,
}

#[derive(Clone)]
pub(super) struct CredentialsData {
    pub(super) keys: aws_credential_types::Credentials,
    pub(super) access_key_id: AccessKeyId,
    pub(super) account_id: Option<AccountId>,
    pub(super) region: Option<RegionOrigin>,
    pub(super) provider: Cow<'static, str>,
    pub(super) max_age: Option<Duration>,
}

/// A region, and how much the statement weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RegionOrigin {
    /// It belongs to the keys.
    Credentials(Region),
    /// The environment in which the provider fetched the keys names it.
    Environment(Region),
}

/// Nothing is a set that was issued to nobody, and so is never served. Whatever else a gate holds was issued to its session.
impl Sentinel for CredentialsInner {
    fn sentinel() -> Arc<Self> {
        let parts = CredentialsData {
            keys: aws_credential_types::Credentials::new("", "", None, None, "nothing"),
            access_key_id: AccessKeyId::placeholder(),
            account_id: None,
            region: None,
            provider: Cow::Borrowed("nothing"),
            max_age: None,
        };
        Arc::new(Self { data: parts, metadata: Issued::placeholder() })
    }

    fn is_sentinel(&self) -> bool {
        self.metadata.is_placeholder()
    }
}
