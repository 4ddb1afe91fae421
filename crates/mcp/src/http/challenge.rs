//! The responses to requests that are not authorized, and the metadata that shows clients where to get a token
//! (RFC 9728).

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use super::auth::{Authenticator, Refusal};
use super::response::{HttpResponse, json_content, text};
use super::site::{Resource, Site};

/// Returns the metadata of a protected resource of the gateway, if it has an authorization server.
pub(super) fn resource_metadata(
    site: &Site,
    authenticator: &Authenticator,
    resource: Resource,
) -> Option<HttpResponse> {
    let servers = authenticator.authorization_servers();
    if servers.is_empty() {
        return None;
    }
    let metadata = json!({
        "resource": site.resource(resource),
        "authorization_servers": servers,
        "scopes_supported": authenticator.scopes(),
        "bearer_methods_supported": ["header"],
    });
    Some(json_content(StatusCode::OK, &metadata))
}

/// Returns the response to a request that is refused. It has one challenge, since some clients read only one.
pub(super) fn refuse(
    refusal: &Refusal,
    site: &Site,
    authenticator: &Authenticator,
    resource: Resource,
) -> HttpResponse {
    let (status, message, error) = match refusal {
        Refusal::NoToken => (StatusCode::UNAUTHORIZED, "a bearer token is required", None),
        Refusal::Malformed(message) => (StatusCode::BAD_REQUEST, *message, Some("invalid_request")),
        Refusal::InvalidToken(message) => (StatusCode::UNAUTHORIZED, *message, Some("invalid_token")),
        Refusal::InsufficientScope(_) => {
            (StatusCode::FORBIDDEN, "the token lacks a required scope", Some("insufficient_scope"))
        }
        Refusal::UnknownPrincipal => (StatusCode::FORBIDDEN, "the user of the token is not configured", None),
        Refusal::Unavailable => {
            let mut response =
                text(StatusCode::SERVICE_UNAVAILABLE, "the keys of the issuer cannot be fetched");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
            return response;
        }
    };
    let mut response = text(status, message);
    if status != StatusCode::BAD_REQUEST
        && let Ok(challenge) =
            HeaderValue::try_from(challenge(refusal, error, &site.metadata_url(resource), authenticator))
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

fn challenge(
    refusal: &Refusal,
    error: Option<&str>,
    metadata_url: &str,
    authenticator: &Authenticator,
) -> String {
    let mut parameters = Vec::new();
    parameters.extend(error.map(|error| format!("error=\"{error}\"")));
    if !authenticator.authorization_servers().is_empty() {
        parameters.push(format!("resource_metadata=\"{metadata_url}\""));
        // The issuer of the token is known, and does not know the scopes of another one.
        let scopes = match refusal {
            Refusal::InsufficientScope(required) => required.iter().map(String::as_str).collect(),
            _ => authenticator.scopes(),
        };
        if !scopes.is_empty() {
            parameters.push(format!("scope=\"{}\"", scopes.join(" ")));
        }
    }
    format!("Bearer {}", parameters.join(", ")).trim_end().to_owned()
}
