//! Builds the authenticator of the gateway from the settings.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use valetkey::mcp::http::{Authenticator, ClaimRule, JwksSource, JwksUrl, JwtIssuer, JwtIssuerBuilder};
use valetkey::{Error, ErrorKind, Principal, Result};

use super::{Diagnostic, Settings};
use crate::build::used_claims;
use crate::files::{self, AllowedWriters};
use crate::settings::{
    AccountSettings, ClaimValue, DEFAULT_FILE, HttpAuth, HttpSettings, IssuerSettings, PrincipalSettings,
};

/// The principal of every request when requests are not authenticated and the settings name none.
const LOCAL_PRINCIPAL: &str = "local";

/// Builds the authenticator, or reports why the settings have none.
pub(crate) fn build_authenticator(
    settings: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Authenticator> {
    let http = settings.http.clone().unwrap_or_default();
    let has_tokens = settings.principals.values().any(|principal| !principal.token_sha256.is_empty());
    let has_callers = has_tokens || http.has_issuers();
    let reported = diagnostics.len();
    check_principals(settings, &http, diagnostics);
    let authenticator = match http.auth {
        Some(HttpAuth::None) if has_callers => {
            let what = "contradicts the tokens or the issuers of this file; take one of them out";
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
    let what = "`serve --http` needs to know its callers: give a principal a `token_sha256`, or add an issuer as \
                `[http.issuers.NAME]`; or write `auth = \"none\"` under `[http]`, and every user of this machine may \
                use the gateway";
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

/// Reports principals that belong to no issuer, and those whose keys contradict each other.
fn check_principals(settings: &Settings, http: &HttpSettings, diagnostics: &mut Vec<Diagnostic>) {
    for (name, principal) in &settings.principals {
        let section = ["principals", name];
        let mut report = |key: &str, what: &str| {
            diagnostics.push(settings.diagnostic(&["principals", name, key], what));
        };
        if principal.claims.is_some() && principal.is_identified() {
            let what = "makes each caller a principal of its own; move `token_sha256` and `subjects` to another principal";
            report("claims", what);
        }
        let needs_issuer = principal.claims.is_some() || !principal.subjects.is_empty();
        if needs_issuer && http.issuer_of(principal.issuer.as_deref()).is_none() {
            let what = "must name one of the issuers, which are `[http.issuers.NAME]`";
            match principal.issuer {
                Some(_) => report("issuer", what),
                None => diagnostics.push(settings.diagnostic(&section, format!("`issuer` {what}"))),
            }
        }
    }
}

fn bearer(settings: &Settings, http: &HttpSettings, diagnostics: &mut Vec<Diagnostic>) -> Authenticator {
    let mut authenticator = Authenticator::bearer();
    for (name, issuer) in &http.issuers {
        let built = build_issuer(settings, http, name, issuer);
        if let Err(error) = built.and_then(|issuer| authenticator.add_issuer(issuer)) {
            diagnostics.push(settings.to_diagnostic(&["http", "issuers", name], &error));
        }
    }
    for (name, principal) in &settings.principals {
        // An invalid name is reported with the session.
        let Ok(known) = name.parse::<Principal>() else { continue };
        for digest in &principal.token_sha256 {
            if let Err(error) = authenticator.add_token(digest, known.clone()) {
                diagnostics.push(settings.to_diagnostic(&["principals", name], &error));
            }
        }
    }
    authenticator
}

fn build_issuer(
    settings: &Settings,
    http: &HttpSettings,
    name: &str,
    issuer: &IssuerSettings,
) -> Result<JwtIssuer> {
    let mut builder = with_keys(issuer)?.name(name);
    builder = issuer.algorithms.iter().fold(builder, JwtIssuerBuilder::algorithm);
    builder = issuer.audiences.iter().fold(builder, JwtIssuerBuilder::audience);
    builder = issuer.required_scopes.iter().fold(builder, JwtIssuerBuilder::required_scope);
    builder = issuer.clients.iter().fold(builder, JwtIssuerBuilder::client);
    builder = issuer.scope_claim.iter().fold(builder, JwtIssuerBuilder::scope_claim);
    builder = issuer.token_use.iter().fold(builder, JwtIssuerBuilder::token_use);
    builder = builder.subject_claims(&issuer.subject_claims);
    builder = used_claims(settings.accounts.values()).into_iter().fold(builder, JwtIssuerBuilder::keep_claim);
    if settings.accounts.values().any(AccountSettings::uses_caller_token) {
        builder = builder.keep_token();
    }
    let own = |principal: &&PrincipalSettings| http.issuer_of(principal.issuer.as_deref()) == Some(name);
    for (principal_name, principal) in settings.principals.iter().filter(|(_, principal)| own(principal)) {
        builder = add_principal(builder, principal_name, principal);
    }
    builder.build()
}

fn with_keys(issuer: &IssuerSettings) -> Result<JwtIssuerBuilder> {
    match (&issuer.jwks_file, &issuer.jwks_url) {
        (Some(file), None) => Ok(JwtIssuer::builder(&issuer.issuer, JwksFile(file.clone()))),
        (None, Some(url)) => Ok(JwtIssuer::builder(&issuer.issuer, JwksUrl::new(url)?)),
        _ => {
            let what = "`issuer` needs either `jwks_file` or `jwks_url`, with the keys of the issuer";
            Err(Error::new(ErrorKind::Invalid, what).with_field("issuer"))
        }
    }
}

fn add_principal(builder: JwtIssuerBuilder, name: &str, principal: &PrincipalSettings) -> JwtIssuerBuilder {
    if let Some(claims) = &principal.claims {
        let rule = claims.iter().fold(ClaimRule::new(name), |rule, (claim, value)| match value {
            ClaimValue::Flag(flag) => rule.claim(claim, *flag),
            ClaimValue::Number(number) => rule.claim(claim, *number),
            ClaimValue::Text(text) => rule.claim(claim, text.as_str()),
        });
        return builder.rule(rule);
    }
    let Ok(known) = name.parse::<Principal>() else { return builder };
    principal.subjects.iter().fold(builder, |builder, subject| builder.principal(subject, known.clone()))
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
