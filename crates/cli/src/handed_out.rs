//! What is told when a session ends: until when copies of what it held still work.

use valetkey::{Expiry, Outstanding};

/// Temporary sets are worth a warning, for somebody can end them. Long-lived keys are whoever's they were before.
pub(crate) fn tell(outstanding: &Outstanding) {
    let session = outstanding.session;
    for held in &outstanding.accounts {
        let (account, until) = (&held.account, held.until);
        match until {
            Expiry::At(_) => tracing::warn!(
                %session, %account, %until,
                "copies of what was handed out work until then; `valetkey revocation-policy` ends them sooner"
            ),
            Expiry::Never => tracing::info!(
                %session, %account,
                "copies of the long-lived keys that were handed out work until the keys are deleted"
            ),
        }
    }
}
