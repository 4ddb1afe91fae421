//! `CredentialsInner`: the value behind `Credentials`, in one allocation: the parts, and how a session obtained them.
//!
//! One allocation, because a session swaps the whole value with one atomic store: a reader never sees the keys of one
//! issue with the metadata of another.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{IssueMetadata, Sentinel};
use crate::{AccessKeyId, AccountId, Region};

/// The parts and the metadata of one issue. The parts do not change once they are shared.
pub(crate) struct CredentialsInner {
    pub(super) data: CredentialsData,
    pub(super) metadata: IssueMetadata,
}

/// The parts that the builder collects. The account id and the expiry are also in `keys`, where the AWS SDK reads them.
#[derive(Clone)]
pub(super) struct CredentialsData {
    /// Holds the secrets, and clears them when the last clone is dropped.
    pub(super) keys: aws_credential_types::Credentials,
    /// The id in its checked type: `keys` holds it as plain text, whose `Debug` shows it whole.
    pub(super) access_key_id: AccessKeyId,
    pub(super) account_id: Option<AccountId>,
    pub(super) region: Option<RegionOrigin>,
    pub(super) provider: Cow<'static, str>,
    pub(super) max_age: Option<Duration>,
}

/// A region and its precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RegionOrigin {
    /// Belongs to the keys.
    Credentials(Region),
    /// Specified by the environment in which the provider fetched the keys.
    Environment(Region),
}

/// The empty value: credentials that were issued to no session and are never served. All other values in a cell were
/// issued to its session.
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
        Arc::new(Self { data: parts, metadata: IssueMetadata::placeholder() })
    }

    fn is_sentinel(&self) -> bool {
        self.metadata.is_placeholder()
    }
}
