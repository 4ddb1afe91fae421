//! `Held`: the value behind `Credentials`, in one allocation: the parts, and how a session obtained them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::session::{Issued, OrNothing};
use crate::{AccessKeyId, AccountId, Region};

pub(crate) struct Held {
    pub(super) parts: Parts,
    pub(super) issued: Issued,
}

#[derive(Clone)]
pub(super) struct Parts {
    pub(super) keys: aws_credential_types::Credentials,
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
    Own(Region),
    /// Specified by the environment in which the provider fetched the keys.
    Environment(Region),
}

/// The empty value: credentials that were issued to no session and are never served. All other values in a cell were
/// issued to its session.
impl OrNothing for Held {
    fn nothing() -> Arc<Self> {
        let parts = Parts {
            keys: aws_credential_types::Credentials::new("", "", None, None, "nothing"),
            access_key_id: AccessKeyId::nobody(),
            account_id: None,
            region: None,
            provider: Cow::Borrowed("nothing"),
            max_age: None,
        };
        Arc::new(Self { parts, issued: Issued::to_nobody() })
    }

    fn is_nothing(&self) -> bool {
        self.issued.is_to_nobody()
    }
}
