//! A session over a role whose STS misbehaves on a real socket: each fault in each window, outages of half an hour, and
//! a working day. The SDK's own client, retries and back-offs run; only time is virtual.

mod eight_hours;
mod outages;
mod results;
mod sts_fixture;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::sleep;
use valetkey_backends::{AssumeRoleBuilder, AssumeRoleProvider};
use valetkey_core::testing::{Canary, VirtualClock};
use valetkey_core::{
    Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry, RefreshPolicy, Result, SessionContext,
};

use crate::memory_source;
use sts_fixture::{FaultMode, StsFixture};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The attempts that the SDK's standard retries make in all.
const SDK_ATTEMPTS: usize = 3;

/// It begins so late that no response looks expired to the clock of this machine.
fn late_clock() -> VirtualClock {
    VirtualClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000))
}

/// Paused time jumps to the next timer whenever no task is ready to run, and a socket that becomes readable just then
/// does not hold it back. So while a caller waits for a response, it advances in steps that are small compared with any timeout.
async fn with_small_time_steps<T>(work: impl Future<Output = T>) -> T {
    let steps = async {
        loop {
            sleep(Duration::from_millis(20)).await;
            std::thread::yield_now();
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = steps => never,
    }
}

/// One fetch by the session: when it began and ended, and whether it returned credentials.
#[derive(Debug, Clone, Copy)]
struct FetchRecord {
    started_at: Duration,
    ended_at: Duration,
    succeeded: bool,
}

/// The provider of the role, and its fetches.
#[derive(Debug)]
struct RecordingProvider {
    role: AssumeRoleProvider,
    clock: VirtualClock,
    fetches: Arc<Mutex<Vec<FetchRecord>>>,
}

#[async_trait]
impl CredentialProvider for RecordingProvider {
    fn name(&self) -> Cow<'static, str> {
        self.role.name()
    }

    async fn provide(&self) -> Result<Credentials> {
        let from = self.clock.elapsed();
        let result = self.role.provide().await;
        let load =
            FetchRecord { started_at: from, ended_at: self.clock.elapsed(), succeeded: result.is_ok() };
        self.fetches.lock().unwrap().push(load);
        result
    }
}

/// A session whose one role comes from a fake STS.
struct RoleSessionFixture {
    clock: VirtualClock,
    sts: StsFixture,
    source: Canary,
    session: SessionContext,
    fetches: Arc<Mutex<Vec<FetchRecord>>>,
    /// When the first credentials expire, since the start of the fixture.
    expiry: Duration,
}

fn role_builder(sts: &StsFixture, source: Arc<dyn CredentialProvider>) -> AssumeRoleBuilder {
    let arn = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    AssumeRoleProvider::builder(arn, source).client_config(&sts.client_config())
}

impl RoleSessionFixture {
    /// A session that holds nothing yet; what it will hold lasts for `life`.
    async fn without_credentials(life: Duration, policy: RefreshPolicy) -> Self {
        let clock = late_clock();
        let sts = StsFixture::start(clock, life).await;
        let source = Canary::new();
        let keys = memory_source(source.credentials(Expiry::Never).unwrap());
        let loads = Arc::<Mutex<Vec<FetchRecord>>>::default();
        let provider = RecordingProvider {
            role: role_builder(&sts, keys).build().unwrap(),
            clock,
            fetches: Arc::clone(&loads),
        };
        let session = SessionContext::builder()
            .clock(Arc::new(clock))
            .provider(provider)
            .refresh_policy(policy)
            .build();
        Self { clock, sts, source, session, fetches: loads, expiry: Duration::ZERO }
    }

    /// A session with its first credentials.
    async fn with_credentials(life: Duration, policy: RefreshPolicy) -> Self {
        let mut fixture = Self::without_credentials(life, policy).await;
        let set = fixture.fetch_checked().await.unwrap();
        let left = set.expiry().remaining(fixture.clock.now()).unwrap();
        fixture.expiry = fixture.clock.elapsed() + left;
        fixture
    }

    /// Fetches as an agent does. Each result is checked: credentials have time left, and an error shows no secret.
    async fn fetch_checked(&self) -> Result<Credentials> {
        let result = with_small_time_steps(self.session.credentials()).await;
        if let Err(error) = &result {
            self.assert_no_secret(error);
        }
        result
    }

    /// Sleeps until this long after the start of the fixture.
    async fn sleep_until(&self, elapsed: Duration) {
        sleep(elapsed.saturating_sub(self.clock.elapsed())).await;
    }

    fn fetches(&self) -> Vec<FetchRecord> {
        self.fetches.lock().unwrap().clone()
    }

    fn assert_no_secret(&self, error: &Error) {
        let mut text = format!("{error} {error:?}");
        let mut cause = StdError::source(error);
        while let Some(error) = cause {
            text = format!("{text} {error} {error:?}");
            cause = error.source();
        }
        for canary in self.sts.issued().iter().chain([&self.source]) {
            assert!(canary.found_in(&text).is_empty(), "{text}");
        }
    }
}

/// What the error was caused by.
fn cause_kind(error: &Error) -> Option<ErrorKind> {
    StdError::source(error)?.downcast_ref::<Error>().map(Error::kind)
}
