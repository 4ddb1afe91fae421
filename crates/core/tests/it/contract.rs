//! The provider contract suite catches a bad provider for each clause, and no good one.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use valetkey_core::testing::contract;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Expiry, Result, SessionContext};

use crate::bench::*;

const SECRET: &str = "secret-1";

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Fails,
    EmptyName,
    UnstableName,
    SecretInName,
    SecretInDebug,
    ExpiredCredentials,
    BlockedAfterDrop,
    RefusesOverlap,
    ErrorWithoutProvider,
    MultilineError,
    SecretInError,
    SecretInCause,
}

/// A provider with one fault.
struct ViolatingProvider {
    violation: Fault,
    calls: AtomicUsize,
    in_flight: AtomicUsize,
}

impl ViolatingProvider {
    fn new(violation: Fault) -> Self {
        Self { violation, calls: AtomicUsize::new(0), in_flight: AtomicUsize::new(0) }
    }

    fn error(&self) -> Option<Error> {
        let error = Error::new(ErrorKind::Unavailable, "down").with_provider("faulty");
        match self.violation {
            Fault::Fails => Some(error),
            Fault::ErrorWithoutProvider => Some(Error::new(ErrorKind::Unavailable, "down")),
            Fault::MultilineError => Some(error.with_next_step("wait\nand see")),
            Fault::SecretInError => Some(Error::new(ErrorKind::Denied, SECRET).with_provider("faulty")),
            Fault::SecretInCause => Some(error.with_source(std::io::Error::other(SECRET))),
            _ => None,
        }
    }
}

impl fmt::Debug for ViolatingProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.violation == Fault::SecretInDebug { SECRET } else { "Faulty" })
    }
}

/// Counts down when the call ends or is dropped.
struct InFlightGuard<'a>(&'a AtomicUsize);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl CredentialProvider for ViolatingProvider {
    fn name(&self) -> Cow<'static, str> {
        match self.violation {
            Fault::EmptyName => "".into(),
            Fault::UnstableName => format!("faulty-{}", self.calls.fetch_add(1, Ordering::SeqCst)).into(),
            Fault::SecretInName => SECRET.into(),
            _ => "faulty".into(),
        }
    }

    async fn provide(&self) -> Result<Credentials> {
        let busy_with_others = self.in_flight.fetch_add(1, Ordering::SeqCst) > 0;
        let busy = InFlightGuard(&self.in_flight);
        match self.violation {
            // What is left behind by a call that was dropped blocks the next one.
            Fault::BlockedAfterDrop if busy_with_others => std::future::pending().await,
            Fault::BlockedAfterDrop => {
                std::mem::forget(busy);
                tokio::task::yield_now().await;
                self.in_flight.store(0, Ordering::SeqCst);
            }
            Fault::RefusesOverlap if busy_with_others => {
                return Err(Error::new(ErrorKind::Throttled, "one at a time").with_provider("faulty"));
            }
            _ => tokio::task::yield_now().await,
        }
        let expiry = if self.violation == Fault::ExpiredCredentials {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1)
        } else {
            year_3000()
        };
        self.error().map_or_else(|| Ok(numbered(1, Expiry::At(expiry))), Err)
    }
}

fn year_3000() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(32_503_680_000)
}

#[tokio::test(start_paused = true)]
async fn a_bad_provider_is_caught_for_each_clause() {
    for (fault, caught) in [
        (Fault::EmptyName, "name must be fixed and not empty"),
        (Fault::UnstableName, "name must be fixed and not empty"),
        (Fault::SecretInName, "clause 6: its name"),
        (Fault::SecretInDebug, "clause 6: its Debug output"),
        (Fault::ExpiredCredentials, "clause 3"),
        (Fault::BlockedAfterDrop, "clause 4"),
        (Fault::RefusesOverlap, "clause 5"),
        (Fault::ErrorWithoutProvider, "name the provider"),
        (Fault::MultilineError, "one line"),
        (Fault::SecretInError, "clause 6: its error"),
        (Fault::SecretInCause, "clause 6: its error"),
    ] {
        let faults = contract::faults(&ViolatingProvider::new(fault), &[SECRET]).await;
        assert!(faults.iter().any(|violation| violation.contains(caught)), "{caught}: {faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_provider_passes_whether_it_answers_or_fails() {
    for fault in [Fault::None, Fault::Fails] {
        assert_eq!(contract::faults(&ViolatingProvider::new(fault), &[SECRET]).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_session_keeps_the_contract_itself() {
    let session = SessionContext::builder().provider(ViolatingProvider::new(Fault::None)).build();
    assert_eq!(contract::faults(&session, &[SECRET]).await, [""; 0]);
    let account = session.account(session.default_account()).unwrap();
    assert_eq!(contract::faults(&account, &[SECRET]).await, [""; 0]);
}
