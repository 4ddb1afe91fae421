//! `valetkey status`: the running gateways of this user, read from their sockets.

pub(crate) mod text;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::arguments::StatusArgs;
use crate::error::CliError;
use crate::ops::OpsRequest;
use crate::output::{print_json, print_json_line, write_stdout};

/// How often `--watch` shows the status.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Clears a terminal, and moves its cursor to the first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

pub(crate) async fn run(command: &StatusArgs) -> Result<ExitCode, CliError> {
    loop {
        let gateways = read_gateways(command.socket.as_ref()).await?;
        print(command, &gateways)?;
        if !command.watch {
            return Ok(if gateways.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        sleep(WATCH_INTERVAL).await;
    }
}

/// Returns the status of each gateway of this user that responds, or of the one with this socket.
pub(crate) async fn read_gateways(socket: Option<&PathBuf>) -> Result<Vec<Value>, CliError> {
    let mut gateways = Vec::new();
    for response in OpsRequest::status().send_all(socket).await? {
        match (response.json(), socket) {
            (Ok(status), _) => gateways.push(status),
            (Err(what), Some(socket)) => {
                return Err(CliError::failed(format!("{} cannot be read: {what}", socket.display())));
            }
            (Err(what), None) => tracing::warn!("the status of a gateway cannot be read: {what}"),
        }
    }
    Ok(gateways)
}

fn print(command: &StatusArgs, gateways: &[Value]) -> Result<(), CliError> {
    match (command.json, command.watch) {
        (true, false) => print_json(&json!({ "gateways": gateways })),
        (true, true) => print_json_line(&json!({ "gateways": gateways })),
        (false, watch) => {
            let clear = if watch && io::stdout().is_terminal() { CLEAR } else { "" };
            write_stdout(format!("{clear}{}", text::gateways_text(gateways)).as_bytes())
        }
    }
}
