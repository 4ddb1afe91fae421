//! The requirements of [`CredentialProvider`] as a test suite for any implementation.
//!
//! # Examples
//! ```no_run
//! # use valetkey_core::{testing::contract, CredentialProvider};
//! # async fn my_test(provider: impl CredentialProvider + Clone + 'static) {
//! let faults = contract::faults(&provider, &["the-secret-it-serves"]).await;
//! assert!(faults.is_empty(), "{faults:#?}");
//! # }
//! ```

use std::error::Error as _;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{Clock, CredentialProvider, Credentials, ErrorKind, Result, SystemClock};

/// How long a call may take before the provider counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Checks `provider` against the clauses of [`CredentialProvider`] that can be observed from outside, and returns
/// those that it violates. `secrets` are texts that its credentials contain and that must appear nowhere else. The
/// provider may be configured to succeed or to fail; both are checked.
pub async fn faults(provider: &dyn CredentialProvider, secrets: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let name = provider.name();
    if name.is_empty() || name != provider.name() {
        faults.push("the name must be fixed and not empty".to_owned());
    }
    shows_nothing(&mut faults, "its name", &name, secrets);
    shows_nothing(&mut faults, "its Debug output", &format!("{provider:?}"), secrets);
    dropped_at_first_await(provider);
    let Ok(first) = timeout(PATIENCE, provider.provide()).await else {
        faults.push("clause 4: a call dropped at its first await must not hold up the next".to_owned());
        return faults;
    };
    let Ok(answers) = timeout(PATIENCE, join_all((0..8).map(|_| provider.provide()))).await else {
        faults.push("clause 5: overlapping calls must not hold up one another".to_owned());
        return faults;
    };
    if answers.iter().any(|answer| kind(answer) != kind(&first)) {
        faults.push(
            "clause 5: overlapping calls must each stand alone, and end as a single one does".to_owned(),
        );
    }
    for answer in answers.iter().chain([&first]) {
        check(&mut faults, &name, answer, secrets);
    }
    faults.sort();
    faults.dedup();
    faults
}

/// Clause 4: starts a call, polls it once and drops it. The following calls show whether it left anything behind.
fn dropped_at_first_await(provider: &dyn CredentialProvider) {
    let _dropped = provider.provide().now_or_never();
}

fn kind(answer: &Result<Credentials>) -> Option<ErrorKind> {
    answer.as_ref().err().map(|error| error.kind())
}

fn check(faults: &mut Vec<String>, name: &str, answer: &Result<Credentials>, secrets: &[&str]) {
    match answer {
        Ok(credentials) => {
            let soon = SystemClock.now() + Duration::from_millis(1);
            if credentials.expiry().has_passed(soon) {
                faults.push("clause 3: what is returned must not have expired".to_owned());
            }
            shows_nothing(
                faults,
                "the Debug output of its credentials",
                &format!("{credentials:?}"),
                secrets,
            );
        }
        Err(error) => {
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            let causes: Vec<_> = causes.map(ToString::to_string).collect();
            let shown = format!("{error} {error:?} {causes:?}");
            shows_nothing(faults, "its error", &shown, secrets);
            if error.provider().is_none() {
                faults.push(format!("every error must name the provider, {name}"));
            }
            if error.to_string().contains('\n') {
                faults.push("an error must be one line".to_owned());
            }
        }
    }
}

fn shows_nothing(faults: &mut Vec<String>, place: &str, shown: &str, secrets: &[&str]) {
    if secrets.iter().any(|secret| shown.contains(secret)) {
        faults.push(format!("clause 6: {place} shows a secret"));
    }
}
