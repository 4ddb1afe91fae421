//! What is told when a session ends: until when copies of what it held still work.

use valetkey::{Expiry, OutstandingCredentials};

/// Logs the end of each account's credentials. That copies work for a while is no fault, so it is no warning.
pub(crate) fn report_outstanding(outstanding: &OutstandingCredentials) {
    let session = outstanding.session;
    for held in &outstanding.accounts {
        let (account, until) = (&held.account, held.until);
        match until {
            Expiry::At(_) => tracing::info!(
                %session, %account, %until,
                "issued credentials remain valid until then; `valetkey revocation-policy` ends them sooner"
            ),
            Expiry::Never => tracing::info!(
                %session, %account,
                "issued long-lived keys remain valid until they are deleted"
            ),
        }
    }
}
