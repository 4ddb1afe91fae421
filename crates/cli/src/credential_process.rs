//! `valetkey credential-process`: prints credentials in the format of an AWS SDK's `credential_process` (version 1).

use std::io::IsTerminal;
use std::process::ExitCode;

use serde::Serialize;
use valetkey::audit::AuditEvent;
use valetkey::{AccountId, Credentials, Expiry, ExposeSecret, SecretString};

use crate::arguments::CredentialProcessArgs;
use crate::error::CliError;
use crate::open_session;
use crate::output::write_stdout;
use crate::settings::Consent;
use crate::terminal::Terminal;

/// The format of "Process credential provider" in the AWS SDKs and Tools Reference Guide.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialProcessOutput<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
    #[serde(skip_serializing_if = "is_never")]
    expiration: Expiry,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a AccountId>,
}

pub(crate) async fn run(command: CredentialProcessArgs) -> Result<ExitCode, CliError> {
    if std::io::stdout().is_terminal() {
        return Err(CliError::failed(
            "the output is a secret, and this is a terminal; name this command as `credential_process` in \
             ~/.aws/config",
        ));
    }
    let (session, account) =
        open_session::open_session_with_consent(&command.account_args, &Terminal::new(), Consent::Required)
            .await?;
    let credentials = account.credentials().await?;
    account.audit(AuditEvent::Serve, "credential-process", None);
    let text = to_json(&credentials)?;
    let written = write_stdout(text.expose_secret().as_bytes()).and_then(|()| write_stdout(b"\n"));
    session.close();
    written?;
    Ok(ExitCode::SUCCESS)
}

fn to_json(credentials: &Credentials) -> Result<SecretString, CliError> {
    let output = CredentialProcessOutput {
        version: 1,
        access_key_id: credentials.access_key_id().as_str(),
        secret_access_key: credentials.expose_secret_access_key(),
        session_token: credentials.expose_session_token(),
        expiration: credentials.expiry(),
        account_id: credentials.account_id(),
    };
    let text = serde_json::to_string(&output);
    text.map(SecretString::from).map_err(|_| CliError::failed("the credentials cannot be written as JSON"))
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_never(expiry: &Expiry) -> bool {
    *expiry == Expiry::Never
}
