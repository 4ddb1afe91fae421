//! `Terminal`: prompts for MFA codes and for consent. It does not read standard input, which belongs to the protocol or
//! to the child.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use valetkey::backends::SecretProvider;
use valetkey::{Error, ExposeSecret, Result, SecretString, escape_control_chars};

/// How long a prompt stays open after its caller has stopped waiting.
const CANCEL_POLL_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The controlling terminal, if there is one. Clones prompt one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    prompt_lock: Arc<Semaphore>,
    transferred: Arc<AtomicBool>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { prompt_lock: Arc::new(Semaphore::new(1)), transferred: Arc::default() }
    }

    /// Marks the terminal as used by another program. From now on no prompt is shown.
    pub(crate) fn transfer(&self) {
        self.transferred.store(true, Ordering::Release);
    }

    /// Returns a provider that prompts for the code of this device whenever the account needs one.
    pub(crate) fn code(&self, account: &str, serial: &str) -> impl SecretProvider + use<> {
        let (terminal, prompt) = (self.clone(), code_prompt(account, serial));
        move || terminal.clone().prompt(prompt.clone())
    }

    /// Prompts with a question and returns whether the user consents. Without a terminal, the user does not consent.
    pub(crate) async fn confirm(&self, question: String) -> bool {
        let typed = self.clone().prompt(question).await;
        typed.is_ok_and(|typed| matches!(typed.expose_secret(), "y" | "Y" | "yes"))
    }

    async fn prompt(self, prompt: String) -> Result<SecretString> {
        let _turn = self.prompt_lock.acquire().await.map_err(|_closed| not_interactive())?;
        if self.transferred.load(Ordering::Acquire) {
            return Err(Error::not_configured("the terminal is the program's that was started on it"));
        }
        let cancelled = CancellationToken::new();
        let _given_up = cancelled.clone().drop_guard();
        let answer = tokio::task::spawn_blocking(move || read_answer(&prompt, &cancelled)).await;
        answer.ok().and_then(io::Result::ok).ok_or_else(not_interactive)
    }
}

fn code_prompt(account: &str, serial: &str) -> String {
    escape_control_chars(&format!("MFA code of {serial}, for the account `{account}`: ")).into_owned()
}

fn not_interactive() -> Error {
    Error::not_configured("there is no terminal to ask on")
}

/// Prompts and reads a line. In the background, reading would stop this process. The input is echoed: a code works only
/// once, and a terminal with disabled echo would stay so if this process were killed.
fn read_answer(prompt: &str, given_up: &CancellationToken) -> io::Result<SecretString> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    if tcgetpgrp(&terminal)? != getpgrp() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    // Discards input that was typed before the prompt.
    tcflush(&terminal, QueueSelector::IFlush)?;
    terminal.write_all(prompt.as_bytes())?;
    while !given_up.is_cancelled() {
        match poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(&CANCEL_POLL_INTERVAL)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return read_line(&mut terminal),
            Err(error) => return Err(error.into()),
        }
    }
    terminal.write_all(b"\n")?;
    Err(io::ErrorKind::TimedOut.into())
}

/// Reads a line, which a terminal returns in one read.
fn read_line(terminal: &mut impl Read) -> io::Result<SecretString> {
    let mut typed = [0; 256];
    let length = terminal.read(&mut typed)?;
    let typed = typed.get(..length).and_then(|typed| std::str::from_utf8(typed).ok());
    Ok(SecretString::from(typed.unwrap_or_default().trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_prompt_escapes_control_characters() {
        let prompt = code_prompt("a\x1b]0;x\x07\r", "m\n\u{9b}2J\u{202e}");
        assert_eq!(prompt, r"MFA code of m\u{a}\u{9b}2J\u{202e}, for the account `a\u{1b}]0;x\u{7}\u{d}`: ");
    }
}
