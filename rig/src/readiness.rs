//! Waiting for a started program.

use std::{fs, time::Duration};

use tokio::{
    process::Child,
    time::{Instant, sleep},
};

use crate::{Error, Result, error::last_lines, folder::RunDir};

/// Half a minute is enough for most programs; on a busy machine, Python takes longer.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until a program is ready, and fails when it ends or takes too long. `otherwise` says what is missing then. The
/// error has the last lines of the log.
pub(crate) async fn wait_ready(
    peer: &'static str,
    child: &mut Child,
    folder: &RunDir,
    otherwise: &str,
    mut is_ready: impl AsyncFnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    let start_error = |reason: String| {
        let log = folder.log_path();
        let tail = last_lines(&fs::read(&log).unwrap_or_default());
        Err(Error::Start { peer, reason, log, tail })
    };
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return start_error(format!("it ended with {status}"));
        }
        if is_ready().await {
            return Ok(());
        }
        sleep(POLL_INTERVAL).await;
    }
    start_error(format!("{otherwise} within {} s", TIMEOUT.as_secs()))
}
