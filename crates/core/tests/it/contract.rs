//! The provider contract suite catches a bad provider for each clause, and no good one.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use valetkey_core::testing::contract;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Expiry, Result, SessionContext};

use crate::session_fixture::*;

const SECRET: &str = "secret-1";

#[derive(Clone, Copy, PartialEq)]
enum Violation {
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
    violation: Violation,
    calls: AtomicUsize,
    in_flight: AtomicUsize,
}

impl ViolatingProvider {
    fn new(violation: Violation) -> Self {
        Self { violation, calls: AtomicUsize::new(0), in_flight: AtomicUsize::new(0) }
    }

    fn error(&self) -> Option<Error> {
        let error = Error::new(ErrorKind::Unavailable, "down").with_provider("faulty");
        match self.violation {
            Violation::Fails => Some(error),
            Violation::ErrorWithoutProvider => Some(Error::new(ErrorKind::Unavailable, "down")),
            Violation::MultilineError => Some(error.with_next_step("wait\nand see")),
            Violation::SecretInError => Some(Error::new(ErrorKind::Denied, SECRET).with_provider("faulty")),
            Violation::SecretInCause => Some(error.with_source(std::io::Error::other(SECRET))),
            _ => None,
        }
    }
}

impl fmt::Debug for ViolatingProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.violation == Violation::SecretInDebug { SECRET } else { "Faulty" })
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
            Violation::EmptyName => "".into(),
            Violation::UnstableName => format!("faulty-{}", self.calls.fetch_add(1, Ordering::SeqCst)).into(),
            Violation::SecretInName => SECRET.into(),
            _ => "faulty".into(),
        }
    }

    async fn provide(&self) -> Result<Credentials> {
        let busy_with_others = self.in_flight.fetch_add(1, Ordering::SeqCst) > 0;
        let busy = InFlightGuard(&self.in_flight);
        match self.violation {
            // What is left behind by a call that was dropped blocks the next one.
            Violation::BlockedAfterDrop if busy_with_others => std::future::pending().await,
            Violation::BlockedAfterDrop => {
                std::mem::forget(busy);
                tokio::task::yield_now().await;
                self.in_flight.store(0, Ordering::SeqCst);
            }
            Violation::RefusesOverlap if busy_with_others => {
                return Err(Error::new(ErrorKind::Throttled, "one at a time").with_provider("faulty"));
            }
            _ => tokio::task::yield_now().await,
        }
        let expiry = if self.violation == Violation::ExpiredCredentials {
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
async fn conformance_reports_violation_of_each_clause() {
    for (fault, caught) in [
        (Violation::EmptyName, "name must be fixed and not empty"),
        (Violation::UnstableName, "name must be fixed and not empty"),
        (Violation::SecretInName, "clause 6: its name"),
        (Violation::SecretInDebug, "clause 6: its Debug output"),
        (Violation::ExpiredCredentials, "clause 3"),
        (Violation::BlockedAfterDrop, "clause 4"),
        (Violation::RefusesOverlap, "clause 5"),
        (Violation::ErrorWithoutProvider, "name the provider"),
        (Violation::MultilineError, "one line"),
        (Violation::SecretInError, "clause 6: its error"),
        (Violation::SecretInCause, "clause 6: its error"),
    ] {
        let faults = contract::faults(&ViolatingProvider::new(fault), &[SECRET]).await;
        assert!(faults.iter().any(|violation| violation.contains(caught)), "{caught}: {faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn conformance_accepts_provider_that_returns_or_fails() {
    for fault in [Violation::None, Violation::Fails] {
        assert_eq!(contract::faults(&ViolatingProvider::new(fault), &[SECRET]).await, [""; 0]);
    }
}

#[tokio::test]
async fn conformance_accepts_session_and_account() {
    let session = SessionContext::builder().provider(ViolatingProvider::new(Violation::None)).build();
    assert_eq!(contract::faults(&session, &[SECRET]).await, [""; 0]);
    let account = session.account(session.default_account()).unwrap();
    assert_eq!(contract::faults(&account, &[SECRET]).await, [""; 0]);
}
