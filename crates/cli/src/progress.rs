//! Reports what a fetch waits for if it takes long.

use std::fmt::Display;
use std::io::IsTerminal;
use std::time::Duration;

use tokio::time::sleep;
use valetkey::escape_control_chars;

/// How long a fetch may take before it is reported.
const PROGRESS_DELAY: Duration = Duration::from_secs(1);

/// Awaits `work`. After one second, reports `what` it waits for on the terminal or, without a terminal, in the log.
pub(crate) async fn with_progress<T>(work: impl Future<Output = T>, what: impl Display) -> T {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = sleep(PROGRESS_DELAY) => print_waiting(&what),
    }
    work.await
}

#[allow(clippy::print_stderr, reason = "a person who waits at the terminal sees why, whatever is logged")]
fn print_waiting(what: &impl Display) {
    if std::io::stderr().is_terminal() {
        eprintln!("waiting for {}", escape_control_chars(&what.to_string()));
    } else {
        tracing::info!("waiting for {what}");
    }
}
