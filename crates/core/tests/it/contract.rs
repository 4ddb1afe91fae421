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
    NoName,
    FickleName,
    SecretInName,
    SecretInDebug,
    Stale,
    Stuck,
    Alone,
    Nameless,
    TwoLines,
    SecretInError,
    SecretInCause,
}

/// A provider with one fault.
struct Faulty {
    fault: Fault,
    calls: AtomicUsize,
    busy: AtomicUsize,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { fault, calls: AtomicUsize::new(0), busy: AtomicUsize::new(0) }
    }

    fn failure(&self) -> Option<Error> {
        let error = Error::new(ErrorKind::Unavailable, "down").with_provider("faulty");
        match self.fault {
            Fault::Fails => Some(error),
            Fault::Nameless => Some(Error::new(ErrorKind::Unavailable, "down")),
            Fault::TwoLines => Some(error.with_next_step("wait\nand see")),
            Fault::SecretInError => Some(Error::new(ErrorKind::Denied, SECRET).with_provider("faulty")),
            Fault::SecretInCause => Some(error.with_source(std::io::Error::other(SECRET))),
            _ => None,
        }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.fault == Fault::SecretInDebug { SECRET } else { "Faulty" })
    }
}

/// Counts down when the call ends or is dropped.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl CredentialProvider for Faulty {
    fn name(&self) -> Cow<'static, str> {
        match self.fault {
            Fault::NoName => "".into(),
            Fault::FickleName => format!("faulty-{}", self.calls.fetch_add(1, Ordering::SeqCst)).into(),
            Fault::SecretInName => SECRET.into(),
            _ => "faulty".into(),
        }
    }

    async fn provide(&self) -> Result<Credentials> {
        let busy_with_others = self.busy.fetch_add(1, Ordering::SeqCst) > 0;
        let busy = Busy(&self.busy);
        match self.fault {
            // What is left behind by a call that was dropped blocks the next one.
            Fault::Stuck if busy_with_others => std::future::pending().await,
            Fault::Stuck => {
                std::mem::forget(busy);
                tokio::task::yield_now().await;
                self.busy.store(0, Ordering::SeqCst);
            }
            Fault::Alone if busy_with_others => {
                return Err(Error::new(ErrorKind::Throttled, "one at a time").with_provider("faulty"));
            }
            _ => tokio::task::yield_now().await,
        }
        let expiry = if self.fault == Fault::Stale {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1)
        } else {
            never()
        };
        self.failure().map_or_else(|| Ok(numbered(1, Expiry::At(expiry))), Err)
    }
}

fn never() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(32_503_680_000)
}

#[tokio::test(start_paused = true)]
async fn a_bad_provider_is_caught_for_each_clause() {
    for (fault, caught) in [
        (Fault::NoName, "name must be fixed and not empty"),
        (Fault::FickleName, "name must be fixed and not empty"),
        (Fault::SecretInName, "clause 6: its name"),
        (Fault::SecretInDebug, "clause 6: its Debug output"),
        (Fault::Stale, "clause 3"),
        (Fault::Stuck, "clause 4"),
        (Fault::Alone, "clause 5"),
        (Fault::Nameless, "name the provider"),
        (Fault::TwoLines, "one line"),
        (Fault::SecretInError, "clause 6: its error"),
        (Fault::SecretInCause, "clause 6: its error"),
    ] {
        let faults = contract::faults(&Faulty::new(fault), &[SECRET]).await;
        assert!(faults.iter().any(|told| told.contains(caught)), "{caught}: {faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_provider_passes_whether_it_answers_or_fails() {
    for fault in [Fault::None, Fault::Fails] {
        assert_eq!(contract::faults(&Faulty::new(fault), &[SECRET]).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_session_keeps_the_contract_itself() {
    let session = SessionContext::builder().provider(Faulty::new(Fault::None)).build();
    assert_eq!(contract::faults(&session, &[SECRET]).await, [""; 0]);
    let account = session.account(session.default_account()).unwrap();
    assert_eq!(contract::faults(&account, &[SECRET]).await, [""; 0]);
}
