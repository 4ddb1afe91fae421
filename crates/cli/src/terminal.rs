//! `Terminal`: whoever sits there is asked for the code of an MFA device. Standard input is not touched: it is the
//! protocol's, or the child's.

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
use valetkey::{Error, ExposeSecret, Result, SecretString, printable};

/// How long a question that nobody waits for any more stays open.
const LOOK_AROUND: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The controlling terminal, if there is one. Clones ask one after another.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    turn: Arc<Semaphore>,
    handed_over: Arc<AtomicBool>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), handed_over: Arc::default() }
    }

    /// From now on the terminal is another program's, and nobody is asked.
    pub(crate) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Release);
    }

    /// Asks for the code of this device whenever the account needs one.
    pub(crate) fn code(&self, account: &str, serial: &str) -> impl SecretProvider + use<> {
        let (terminal, prompt) = (
            self.clone(),
            printable(&format!("MFA code of {serial}, for the account `{account}`: ")).into_owned(),
        );
        move || terminal.clone().ask(prompt.clone())
    }

    /// Asks a question and returns whether the user consents. Without a terminal, the user does not.
    pub(crate) async fn confirm(&self, question: String) -> bool {
        let typed = self.clone().ask(question).await;
        typed.is_ok_and(|typed| matches!(typed.expose_secret(), "y" | "Y" | "yes"))
    }

    async fn ask(self, prompt: String) -> Result<SecretString> {
        let _turn = self.turn.acquire().await.map_err(|_closed| nobody())?;
        if self.handed_over.load(Ordering::Acquire) {
            return Err(Error::not_configured("the terminal is the program's that was started on it"));
        }
        let given_up = CancellationToken::new();
        let _given_up = given_up.clone().drop_guard();
        let answer = tokio::task::spawn_blocking(move || answer(&prompt, &given_up)).await;
        answer.ok().and_then(io::Result::ok).ok_or_else(nobody)
    }
}

fn nobody() -> Error {
    Error::not_configured("there is no terminal to ask on")
}

/// The line that is typed. From the background, reading would stop this process. What is typed is shown: it works once,
/// and a terminal whose echo was off would stay so if this process were killed.
fn answer(prompt: &str, given_up: &CancellationToken) -> io::Result<SecretString> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    if tcgetpgrp(&terminal)? != getpgrp() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    // What was typed before is no answer.
    tcflush(&terminal, QueueSelector::IFlush)?;
    terminal.write_all(prompt.as_bytes())?;
    while !given_up.is_cancelled() {
        match poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(&LOOK_AROUND)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return line(&mut terminal),
            Err(error) => return Err(error.into()),
        }
    }
    terminal.write_all(b"\n")?;
    Err(io::ErrorKind::TimedOut.into())
}

/// A terminal answers a line at a time.
fn line(terminal: &mut impl Read) -> io::Result<SecretString> {
    let mut typed = [0; 256];
    let length = terminal.read(&mut typed)?;
    let typed = typed.get(..length).and_then(|typed| std::str::from_utf8(typed).ok());
    Ok(SecretString::from(typed.unwrap_or_default().trim()))
}
