//! The responses of the endpoint: credentials or an error.
//!
//! | kind of the error | status |
//! |---|---|
//! | `Closed`, `NotConfigured` | 403 |
//! | `Denied`, `Invalid`, `InteractionRequired` | 400 |
//! | every other kind, which a later request may not meet | 503 |
//!
//! SDKs retry after 5xx and give up after 4xx. So a status of 4xx means that a repeated request cannot succeed without
//! another action.

use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tokio::time::timeout;
use valetkey_core::{Credentials, CurrentCredentials, Error, ErrorKind, Expiry, Result};

use super::AdvertisedExpiry;
use super::grant::GrantState;

pub(super) type Response = hyper::Response<Full<Bytes>>;

/// Limit on waiting for an account's first credentials: SDKs give up after 2 s.
const FIRST_FETCH_TIMEOUT: Duration = Duration::from_millis(1500);
/// The expiry reported for credentials that never expire, in [`AdvertisedExpiry::Actual`] mode.
const DEFAULT_ADVERTISED_EXPIRY: Duration = Duration::from_secs(3600);

/// Returns the credentials to serve. They come from the cache unless the account has none yet: refreshing ahead of
/// expiry is left to the session.
///
/// The version is recorded before it is compared with the account's current one again. So either a switch of
/// credentials sees that the reader has the old ones, or the reader gets the new ones.
pub(super) async fn current_credentials(grant: &GrantState, now: SystemTime) -> Result<Credentials> {
    loop {
        let current = match grant.account.current() {
            Some(served) => served,
            None => fetch_first(grant).await?,
        };
        grant.record_served(current.id);
        if grant.account.current().is_some_and(|now| now.id == current.id) {
            return Ok(grant.rotation_hold.select(current, now));
        }
    }
}

/// Fetches the credentials of an account that has none yet. The wait is shorter than the timeout of SDKs, so that they
/// report this error and not a timeout of their own.
async fn fetch_first(grant: &GrantState) -> Result<CurrentCredentials> {
    let fetched = timeout(FIRST_FETCH_TIMEOUT, grant.account.credentials()).await.map_err(|_elapsed| {
        Error::new(ErrorKind::TimedOut, "the first credentials of this account are still being fetched")
    })?;
    fetched?;
    grant.account.current().ok_or_else(|| {
        Error::new(ErrorKind::Unavailable, "the account moved on while its credentials were fetched")
    })
}

/// Builds the response. All four fields are always present, because SDKs require them. For keys without a session
/// token, `Token` is empty, which boto3, the CLI and JavaScript treat as absent.
pub(super) fn credentials_response(
    credentials: &Credentials,
    advertised_expiry: AdvertisedExpiry,
    now: SystemTime,
) -> Response {
    let mut body = json!({
        "AccessKeyId": credentials.access_key_id().as_str(),
        "SecretAccessKey": credentials.expose_secret_access_key(),
        "Token": credentials.expose_session_token().unwrap_or_default(),
        "Expiration": advertised_expiry_at(credentials.expiry(), advertised_expiry, now).to_string(),
    });
    if let (Some(account), Some(fields)) = (credentials.account_id(), body.as_object_mut()) {
        fields.insert("AccountId".to_owned(), Value::from(account.as_str()));
    }
    json_response(StatusCode::OK, &body)
}

/// Returns the expiry to report. It is never later than the real one, so that no client uses credentials that AWS
/// rejects.
fn advertised_expiry_at(expiry: Expiry, advertised_expiry: AdvertisedExpiry, now: SystemTime) -> Expiry {
    let real = expiry.instant();
    let advertised = match advertised_expiry {
        AdvertisedExpiry::AtMost(limit) => now + limit,
        AdvertisedExpiry::Actual => real.unwrap_or(now + DEFAULT_ADVERTISED_EXPIRY),
    };
    Expiry::At(real.map_or(advertised, |real| real.min(advertised)))
}

/// Builds the response for an error. SDKs show its text to people: it has a code and a sentence, and no secret.
pub(super) fn response_from_error(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Closed | ErrorKind::NotConfigured => StatusCode::FORBIDDEN,
        ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::InteractionRequired => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    error_response(status, error.kind().code(), &error.to_string())
}

pub(super) fn error_response(status: StatusCode, code: &str, message: &str) -> Response {
    json_response(status, &json!({"code": code, "message": message}))
}

/// Closes the connection after the response, so that an idle client does not occupy a connection.
fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    for (name, value) in
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (CONNECTION, "close")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use valetkey_core::Clock;
    use valetkey_core::testing::ManualClock;

    #[test]
    fn advertised_expiry_is_the_earlier_of_limit_and_actual_expiry() {
        let now = ManualClock::new().now();
        let minute = Duration::from_secs(60);
        let limit = AdvertisedExpiry::AtMost(4 * minute);
        assert_eq!(advertised_expiry_at(Expiry::At(now + minute), limit, now), Expiry::At(now + minute));
        assert_eq!(
            advertised_expiry_at(Expiry::At(now + 60 * minute), limit, now),
            Expiry::At(now + 4 * minute)
        );
        assert_eq!(advertised_expiry_at(Expiry::Never, limit, now), Expiry::At(now + 4 * minute));
        assert_eq!(
            advertised_expiry_at(Expiry::At(now + 60 * minute), AdvertisedExpiry::Actual, now),
            Expiry::At(now + 60 * minute)
        );
    }
}
