//! `valetkey presign`: prints a URL that permits one request for an object of S3.

use std::process::ExitCode;

use valetkey::ErrorKind;
use valetkey::mcp::child::HostEnvironment;
use valetkey::mcp::signing::{PresignRequest, PresignedUrl, ProxySettings};
use valetkey::{Expiry, SessionAccount, SessionContext};

use crate::arguments::{PresignArgs, PresignMethod};
use crate::error::CliError;
use crate::open_session;
use crate::output::print_lines;
use crate::terminal::Terminal;

pub(crate) async fn run(command: PresignArgs) -> Result<ExitCode, CliError> {
    let (session, account) = open_session::open_session(&command.account_args, &Terminal::new()).await?;
    let presigned = presign(&command, &session, &account).await;
    session.close();
    let presigned = presigned?;
    let expires_at = Expiry::At(presigned.expires_at());
    if is_shortened(&command, &session, &presigned) {
        tracing::warn!(
            "the credentials expire earlier than `--expires`; the URL is valid until {expires_at}"
        );
    }
    print_lines([presigned.expose_url()])?;
    Ok(ExitCode::SUCCESS)
}

async fn presign(
    command: &PresignArgs,
    session: &SessionContext,
    account: &SessionAccount,
) -> Result<PresignedUrl, CliError> {
    let request = match command.method {
        PresignMethod::Get => PresignRequest::download(command.object.clone()),
        PresignMethod::Put => PresignRequest::upload(command.object.clone()),
    };
    let request = request.lifetime(command.expires);
    let request = command.region.iter().cloned().fold(request, PresignRequest::region);
    // The URL names the endpoint to which the SDKs of this process would send the request.
    let environment = HostEnvironment::from_process();
    let settings =
        ProxySettings::default().clock(session.clock()).variables(environment.upstream_variables())?;
    request.sign(account, &settings).await.map_err(|error| match error.kind() {
        ErrorKind::Invalid => CliError::usage(error.to_string()),
        _ => error.into(),
    })
}

fn is_shortened(command: &PresignArgs, session: &SessionContext, presigned: &PresignedUrl) -> bool {
    let remaining = Expiry::At(presigned.expires_at()).remaining(session.clock().now());
    // The seconds that have passed since are no difference.
    remaining.is_some_and(|remaining| remaining + std::time::Duration::from_secs(5) < command.expires)
}
