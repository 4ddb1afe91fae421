//! `valetkey revocation-policy`: prints a policy that revokes issued credentials, which clearing and closing cannot do.

use std::process::ExitCode;

use valetkey::{Clock, Expiry, Result, RevocationPolicy, SystemClock};

use crate::arguments::RevocationPolicyArgs as Command;
use crate::error::CliError;
use crate::output::write_stdout;

pub(crate) fn run(command: &Command) -> Result<ExitCode, CliError> {
    let policy = build_policy(command)?;
    write_stdout(format!("{policy:#}\n").as_bytes())?;
    print_instructions(&policy);
    Ok(ExitCode::SUCCESS)
}

fn build_policy(command: &Command) -> Result<RevocationPolicy> {
    let before = command.issued_before.and_then(Expiry::instant).unwrap_or_else(|| SystemClock.now());
    match (command.session, &command.session_name) {
        (Some(session), _) => Ok(RevocationPolicy::for_session(session, before)),
        (None, Some(name)) => RevocationPolicy::for_session_name(name, before),
        (None, None) => Ok(RevocationPolicy::for_all_sessions(before)),
    }
}

#[allow(
    clippy::print_stderr,
    reason = "what is beside the policy goes to standard error, whatever is logged"
)]
fn print_instructions(policy: &RevocationPolicy) {
    eprintln!("denies: {}", policy.description());
    eprintln!(
        "to do so: aws iam put-role-policy --role-name ROLE --policy-name valetkey-revoked --policy-document \
         file://FILE; for federated users, put-user-policy"
    );
}
