//! `valetkey status`: the running gateways of this user, read from their sockets.

mod client;
mod text;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::arguments::StatusArgs;
use crate::error::CliError;
use crate::ops::runtime_dir;
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

/// Returns the status of each gateway that responds. A gateway that ends meanwhile is left out.
async fn read_gateways(socket: Option<&PathBuf>) -> Result<Vec<Value>, CliError> {
    if let Some(socket) = socket {
        let status = client::read_status(socket).await;
        return status.map(|status| vec![status]).map_err(|error| {
            CliError::failed(format!(
                "{} cannot be read: {error}; name the socket of a running gateway",
                socket.display()
            ))
        });
    }
    let sockets = runtime_dir::sockets().map_err(|error| CliError::failed(error.to_string()))?;
    let read = join_all(sockets.iter().map(|socket| client::read_status(socket))).await;
    let mut gateways = Vec::new();
    for (socket, status) in sockets.iter().zip(read) {
        match status {
            Ok(status) => gateways.push(status),
            // Its gateway was killed. The folder is that of this user.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _gone = std::fs::remove_file(socket);
            }
            Err(error) => tracing::warn!(socket = %socket.display(), %error, "a gateway does not respond"),
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
