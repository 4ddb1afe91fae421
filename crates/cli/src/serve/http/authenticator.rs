//! Builds the authenticator of the gateway from the settings.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use valetkey::mcp::http::{Authenticator, JwksSource, JwksUrl, JwtIssuer};
use valetkey::{Error, ErrorKind, Principal, Result};

use super::{Diagnostic, Settings};
use crate::files::{self, AllowedWriters};
use crate::settings::{DEFAULT_FILE, HttpAuth, HttpSettings};

/// The principal of every request when requests are not authenticated and the settings name none.
const LOCAL_PRINCIPAL: &str = "local";

/// Builds the authenticator, or reports why the settings have none.
pub(crate) fn build_authenticator(
    settings: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Authenticator> {
    let http = settings.http.clone().unwrap_or_default();
    let has_tokens = settings.principals.values().any(|principal| !principal.token_sha256.is_empty());
    let has_callers = has_tokens || http.issuer.is_some();
    let reported = diagnostics.len();
    let authenticator = match http.auth {
        Some(HttpAuth::None) if has_callers => {
            let what = "contradicts the tokens or the `issuer` of this file; take one of them out";
            diagnostics.push(settings.diagnostic(&["http", "auth"], what));
            None
        }
        Some(HttpAuth::None) => anonymous(settings, diagnostics),
        Some(HttpAuth::Bearer) | None if has_callers => Some(bearer(settings, &http, diagnostics)),
        _ => {
            diagnostics.push(missing_callers(settings));
            None
        }
    };
    authenticator.filter(|_| diagnostics.len() == reported)
}

fn missing_callers(settings: &Settings) -> Diagnostic {
    let what = "`serve --http` needs to know its callers: give a principal a `token_sha256`, or `[http]` an `issuer`; \
                or write `auth = \"none\"` under `[http]`, and every user of this machine may use the gateway";
    if settings.is_absent() {
        Diagnostic::in_file(Path::new(DEFAULT_FILE), format!("there is no such file; {what}"))
    } else {
        settings.diagnostic(&["http"], what)
    }
}

fn anonymous(settings: &Settings, diagnostics: &mut Vec<Diagnostic>) -> Option<Authenticator> {
    let name = settings.session.principal.as_deref().unwrap_or(LOCAL_PRINCIPAL);
    if !settings.principals.is_empty() && !settings.principals.contains_key(name) {
        let what = "needs the `principal` of `[session]`, because the file defines principals";
        diagnostics.push(settings.diagnostic(&["http", "auth"], what));
        return None;
    }
    // An invalid name is reported with the session.
    name.parse().ok().map(Authenticator::none)
}

fn bearer(settings: &Settings, http: &HttpSettings, diagnostics: &mut Vec<Diagnostic>) -> Authenticator {
    let mut authenticator = Authenticator::bearer();
    for (name, settings_of_principal) in &settings.principals {
        // An invalid name is reported with the session.
        let Ok(principal) = name.parse::<Principal>() else { continue };
        for digest in &settings_of_principal.token_sha256 {
            if let Err(error) = authenticator.add_token(digest, principal.clone()) {
                diagnostics.push(settings.to_diagnostic(&["principals", name], &error));
            }
        }
    }
    let issuer = issuer(settings, http);
    if let Some(Err(error)) = issuer.map(|issuer| authenticator.add_issuer(issuer?)) {
        diagnostics.push(settings.to_diagnostic(&["http"], &error));
    }
    authenticator
}

fn issuer(settings: &Settings, http: &HttpSettings) -> Option<Result<JwtIssuer>> {
    let issuer = http.issuer.as_deref()?;
    let mut builder = match (&http.jwks_file, &http.jwks_url) {
        (Some(file), None) => JwtIssuer::builder(issuer, JwksFile(file.clone())),
        (None, Some(url)) => match JwksUrl::new(url) {
            Ok(keys) => JwtIssuer::builder(issuer, keys),
            Err(error) => return Some(Err(error)),
        },
        _ => {
            let what = "needs either `jwks_file` or `jwks_url`, with the keys of the issuer";
            return Some(
                Err(Error::new(ErrorKind::Invalid, format!("`issuer` {what}")).with_field("issuer")),
            );
        }
    };
    builder = http.audiences.iter().fold(builder, |builder, audience| builder.audience(audience));
    builder = http.required_scopes.iter().fold(builder, |builder, scope| builder.required_scope(scope));
    for (name, principal) in &settings.principals {
        let Ok(known) = name.parse::<Principal>() else { continue };
        builder = principal
            .subjects
            .iter()
            .fold(builder, |builder, subject| builder.principal(subject, known.clone()));
    }
    Some(builder.build())
}

/// The key set in a file, which another program may replace when the issuer rotates its keys.
#[derive(Debug)]
struct JwksFile(PathBuf);

#[async_trait]
impl JwksSource for JwksFile {
    async fn fetch(&self) -> Result<Vec<u8>> {
        let path = self.0.clone();
        let read =
            tokio::task::spawn_blocking(move || files::read_text(&path, AllowedWriters::OwnerAndGroup));
        match read.await {
            Ok(Ok(text)) => Ok(text.into_bytes()),
            Ok(Err(what)) => Err(Error::new(ErrorKind::Unavailable, format!("the key file {what}"))),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the key file was not read")),
        }
    }
}
