//! Compares several concurrent users with one process-wide credential context and with one session for each user.
//!
//! `cargo run -p valetkey --example isolation` exits with code 1 if credentials ever cross between sessions, or if they
//! do not cross in the global context, because the comparison would then be meaningless.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};
use valetkey::{Credentials, Error, ErrorKind, Result, SecretString, SessionContext};

const USERS: usize = 8;
const SUB_AGENTS: usize = 4;

/// The counter-example: the only static in this repository that holds credentials. Do not copy it.
static GLOBAL: Mutex<Option<Credentials>> = Mutex::new(None);

#[tokio::main]
async fn main() -> Result<()> {
    let global = run_all_users(|| Context::Global).await?;
    let sessions = run_all_users(|| Context::Session(SessionContext::builder().build())).await?;
    println!(
        "{USERS} users at once, {SUB_AGENTS} sub-agents each; then one of them finishes and cleans up\n"
    );
    println!("{:<32}{:>14}{:>18}", "what a sub-agent read", "global context", "one session each");
    for (what, global, sessions) in [
        ("its own user's credentials", global.own, sessions.own),
        ("ANOTHER USER'S credentials", global.others, sessions.others),
        ("none: another user cleared them", global.gone, sessions.gone),
    ] {
        println!("{what:<32}{global:>14}{sessions:>18}");
    }
    verdict(&global, &sessions)
}

fn verdict(global: &Reads, sessions: &Reads) -> Result<()> {
    if sessions.others > 0 || sessions.gone > 0 {
        return Err(Error::new(ErrorKind::Internal, "a session crossed"));
    }
    if global.others == 0 || global.gone == 0 {
        return Err(Error::new(
            ErrorKind::Internal,
            "the global context held, so this example shows nothing",
        ));
    }
    println!("\nglobal context: crossed, as it must\nsessions: held");
    Ok(())
}

/// Runs all users concurrently, each with its own result of `context`.
async fn run_all_users(context: impl Fn() -> Context) -> Result<Reads> {
    let barrier = Arc::new(Barrier::new(USERS));
    let mut users = JoinSet::new();
    for user in 0..USERS {
        users.spawn(run_agent(user, context(), Arc::clone(&barrier)));
    }
    let mut all = Reads::default();
    while let Some(reads) = users.join_next().await {
        all += reads
            .map_err(|error| Error::new(ErrorKind::Internal, "a user's task failed").with_source(error))??;
    }
    Ok(all)
}

/// Runs one user's agent: sets the user's credentials, runs the sub-agents, clears.
async fn run_agent(user: usize, context: Context, barrier: Arc<Barrier>) -> Result<Reads> {
    let (mut reads, mine) = (Reads::default(), credentials_for_user(user)?);
    context.set(mine.clone())?;
    barrier.wait().await;
    for _ in 0..SUB_AGENTS {
        reads.count(&mine, context.read().await);
        yield_now().await;
    }
    barrier.wait().await;
    if user == 0 {
        context.clear();
    }
    barrier.wait().await;
    if user != 0 {
        reads.count(&mine, context.read().await);
    }
    Ok(reads)
}

/// The place from which a user's agent reads its credentials.
enum Context {
    Global,
    Session(SessionContext),
}

impl Context {
    fn set(&self, credentials: Credentials) -> Result<()> {
        match self {
            Self::Global => *lock_global() = Some(credentials),
            Self::Session(session) => drop(session.set_credentials(credentials)?),
        }
        Ok(())
    }

    async fn read(&self) -> Option<Credentials> {
        match self {
            Self::Global => lock_global().clone(),
            Self::Session(session) => session.credentials().await.ok(),
        }
    }

    fn clear(&self) {
        match self {
            Self::Global => *lock_global() = None,
            Self::Session(session) => drop(session.clear()),
        }
    }
}

fn lock_global() -> MutexGuard<'static, Option<Credentials>> {
    GLOBAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of reads by sub-agents, by the owner of the credentials that were read.
#[derive(Default)]
struct Reads {
    own: usize,
    others: usize,
    gone: usize,
}

impl Reads {
    fn count(&mut self, mine: &Credentials, read: Option<Credentials>) {
        match read {
            None => self.gone += 1,
            Some(read) if read.access_key_id() == mine.access_key_id() => self.own += 1,
            Some(_) => self.others += 1,
        }
    }
}

impl AddAssign for Reads {
    fn add_assign(&mut self, more: Self) {
        self.own += more.own;
        self.others += more.others;
        self.gone += more.gone;
    }
}

fn credentials_for_user(user: usize) -> Result<Credentials> {
    let secret = SecretString::from(format!("demo-secret-of-user-{user}"));
    Credentials::builder(format!("AKIADEMOUSER000000{user:02}").parse()?, secret).build()
}
