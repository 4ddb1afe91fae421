//! `Held`: what is behind `Credentials`, in one allocation: the parts of a set, and how a session came by it.

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
    pub(super) region: Option<Region>,
    pub(super) provider: Cow<'static, str>,
    pub(super) max_age: Option<Duration>,
}

/// Nothing is a set that expired before it was ever issued, and so is never served.
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
        Arc::new(Self { parts, issued: Issued::never() })
    }

    fn is_nothing(&self) -> bool {
        self.issued.is_never()
    }
}
