//! Reports credentials that remain valid after a session has ended.

use valetkey::{Expiry, OutstandingCredentials};

/// Logs when the credentials of each account expire. This is expected, so it is not logged as a warning.
pub(crate) fn report_outstanding(outstanding: &OutstandingCredentials) {
    let session = outstanding.session;
    for held in &outstanding.accounts {
        let (account, until) = (&held.account, held.expires_at);
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
