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
const TIMEOUT: Duration = Duration::from_secs(60);

/// Checks `provider` against the clauses of [`CredentialProvider`] that can be observed from outside, and returns
/// those that it violates. `secrets` are texts that its credentials contain and that must appear nowhere else. The
/// provider may be configured to succeed or to fail; both are checked.
///
/// An empty list does not prove the clauses that concern the source itself, such as that nothing is cached. The
/// provider is called ten times, one of which is dropped. Must be called in a tokio runtime with time enabled.
///
/// # Examples
/// ```
/// use valetkey_core::testing::contract;
/// use valetkey_core::{Credentials, provider_fn};
/// # const TEXT: &str = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
///
/// let sound = provider_fn("store", async || Credentials::from_json(TEXT, "store"));
/// assert!(contract::faults(&sound, &["example"]).await.is_empty());
///
/// let leaky = provider_fn("example", async || Credentials::from_json(TEXT, "store"));
/// assert_eq!(contract::faults(&leaky, &["example"]).await[0], "clause 6: its Debug output shows a secret");
/// # Ok(())
/// # }
/// ```
pub async fn faults(provider: &dyn CredentialProvider, secrets: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    let name = provider.name();
    if name.is_empty() || name != provider.name() {
        violations.push("the name must be fixed and not empty".to_owned());
    }
    check_shows_no_secret(&mut violations, "its name", &name, secrets);
    check_shows_no_secret(&mut violations, "its Debug output", &format!("{provider:?}"), secrets);
    cancel_at_first_await(provider);
    let Ok(first) = timeout(TIMEOUT, provider.provide()).await else {
        violations.push("clause 4: a call dropped at its first await must not hold up the next".to_owned());
        return violations;
    };
    let Ok(results) = timeout(TIMEOUT, join_all((0..8).map(|_| provider.provide()))).await else {
        violations.push("clause 5: overlapping calls must not hold up one another".to_owned());
        return violations;
    };
    if results.iter().any(|answer| error_kind(answer) != error_kind(&first)) {
        violations.push(
            "clause 5: overlapping calls must each stand alone, and end as a single one does".to_owned(),
        );
    }
    for answer in results.iter().chain([&first]) {
        check_result(&mut violations, &name, answer, secrets);
    }
    violations.sort();
    violations.dedup();
    violations
}

/// Clause 4: starts a call, polls it once and drops it. The following calls show whether it left anything behind.
fn cancel_at_first_await(provider: &dyn CredentialProvider) {
    let _dropped = provider.provide().now_or_never();
}

fn error_kind(result: &Result<Credentials>) -> Option<ErrorKind> {
    result.as_ref().err().map(|error| error.kind())
}

fn check_result(faults: &mut Vec<String>, name: &str, result: &Result<Credentials>, secrets: &[&str]) {
    match result {
        Ok(credentials) => {
            let deadline = SystemClock.now() + Duration::from_millis(1);
            if credentials.expiry().has_passed(deadline) {
                faults.push("clause 3: what is returned must not have expired".to_owned());
            }
            check_shows_no_secret(
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
            check_shows_no_secret(faults, "its error", &shown, secrets);
            if error.provider().is_none() {
                faults.push(format!("every error must name the provider, {name}"));
            }
            if error.to_string().contains('\n') {
                faults.push("an error must be one line".to_owned());
            }
        }
    }
}

fn check_shows_no_secret(violations: &mut Vec<String>, place: &str, shown: &str, secrets: &[&str]) {
    if secrets.iter().any(|secret| shown.contains(secret)) {
        violations.push(format!("clause 6: {place} shows a secret"));
    }
}
