//! What the endpoint answers: a set, or why not.

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::timeout;
use valetkey_core::{Credentials, Error, ErrorKind, Expiry, Result, ServedSet};

use super::Leash;
use super::grant::Entry;

/// How long the very first set may be waited for: SDKs give up after 2 s.
const FIRST_SET: Duration = Duration::from_millis(1500);
/// What is told of a set that does not expire when there is no leash.
const NO_EXPIRY: Duration = Duration::from_secs(3600);

/// The set to answer with. From memory, unless there has never been one: whoever runs the session refreshes ahead.
///
/// What is returned is noted before it is compared with the account again: so either a switch of credentials sees that
/// the reader has the old ones, or the reader gets the new ones.
pub(super) async fn current(entry: &Entry, now: SystemTime) -> Result<Credentials> {
    loop {
        let served = match entry.account.served() {
            Some(served) => served,
            None => first(entry).await?,
        };
        entry.note_given(served.id);
        if entry.account.served().is_some_and(|now| now.id == served.id) {
            return Ok(entry.burst.choose(served, now));
        }
    }
}

async fn first(entry: &Entry) -> Result<ServedSet> {
    let fetched = timeout(FIRST_SET, entry.account.credentials()).await.map_err(|_elapsed| {
        Error::new(ErrorKind::TimedOut, "the first credentials of this account are still being fetched")
    })?;
    fetched?;
    entry.account.served().ok_or_else(|| {
        Error::new(ErrorKind::Unavailable, "the account moved on while its credentials were fetched")
    })
}

/// All four fields, always: SDKs want them all. Keys without a token get an empty one, which boto3, the CLI and
/// JavaScript take for none.
pub(super) fn credentials(credentials: &Credentials, leash: Leash, now: SystemTime) -> Response {
    let mut body = json!({
        "AccessKeyId": credentials.access_key_id().as_str(),
        "SecretAccessKey": credentials.expose_secret_access_key(),
        "Token": credentials.expose_session_token().unwrap_or_default(),
        "Expiration": told(credentials.expiry(), leash, now).to_string(),
    });
    if let (Some(account), Some(fields)) = (credentials.account_id(), body.as_object_mut()) {
        fields.insert("AccountId".to_owned(), Value::from(account.as_str()));
    }
    respond(StatusCode::OK, &body)
}

fn told(expiry: Expiry, leash: Leash, now: SystemTime) -> Expiry {
    let real = expiry.instant();
    let leashed = match leash {
        Leash::AtMost(leash) => now + leash,
        Leash::Off => real.unwrap_or(now + NO_EXPIRY),
    };
    Expiry::At(real.map_or(leashed, |real| real.min(leashed)))
}

/// An error that SDKs show to people: a code and a sentence, no secret.
pub(super) fn failure(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Closed | ErrorKind::NotConfigured => StatusCode::FORBIDDEN,
        ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::InteractionRequired => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    refuse(status, error.kind().code(), &error.to_string())
}

pub(super) fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    respond(status, &json!({"code": code, "message": message}))
}

/// One request a connection: a reader that holds none open holds nothing up.
fn respond(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (CONNECTION, "close")];
    (status, headers, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use valetkey_core::Clock;
    use valetkey_core::testing::ManualClock;

    #[test]
    fn the_told_expiry_is_the_nearer_of_the_real_one_and_the_leash() {
        let now = ManualClock::new().now();
        let minute = Duration::from_secs(60);
        let leash = Leash::AtMost(4 * minute);
        assert_eq!(told(Expiry::At(now + minute), leash, now), Expiry::At(now + minute));
        assert_eq!(told(Expiry::At(now + 60 * minute), leash, now), Expiry::At(now + 4 * minute));
        assert_eq!(told(Expiry::Never, leash, now), Expiry::At(now + 4 * minute));
        assert_eq!(told(Expiry::At(now + 60 * minute), Leash::Off, now), Expiry::At(now + 60 * minute));
    }
}
