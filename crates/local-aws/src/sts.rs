//! The Security Token Service: `GetCallerIdentity` and `AssumeRole`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::key_store::{CallerPrincipal, RoleSession};
use super::request::FormBody;
use super::response::{AwsError, ErrorCode, ServiceResponse, element};
use super::role::Role;
use super::services::{Services, lock_ignoring_poison, now};
use super::session_policy::SessionPolicyDocument;

const MIN_DURATION_SECONDS: u64 = 900;
const DEFAULT_DURATION_SECONDS: u64 = 3600;
const MAX_CHAINED_DURATION_SECONDS: u64 = 3600;
const MAX_TAGS: usize = 50;

pub(super) fn dispatch(
    services: &Services,
    caller: &CallerPrincipal,
    action: &str,
    form: &FormBody,
) -> Result<ServiceResponse, AwsError> {
    match action {
        "GetCallerIdentity" => Ok(ServiceResponse::Xml("GetCallerIdentity", caller_identity_xml(caller))),
        "AssumeRole" => Ok(ServiceResponse::Xml("AssumeRole", assume_role(services, caller, form)?)),
        _ => {
            let message = format!("Could not find operation {action} for version 2011-06-15");
            Err(AwsError::new(ErrorCode::UnknownAction, message))
        }
    }
}

/// Requires no permission, as in AWS.
fn caller_identity_xml(caller: &CallerPrincipal) -> String {
    [element("Arn", &caller.arn), element("UserId", &caller.user_id), element("Account", &caller.account)]
        .concat()
}

fn assume_role(services: &Services, caller: &CallerPrincipal, form: &FormBody) -> Result<String, AwsError> {
    let arn = form.get_required("RoleArn")?;
    let name = check_name(form.get_required("RoleSessionName")?, "roleSessionName", 64)?;
    let external_id = form.get("ExternalId");
    caller.check_allowed("sts:AssumeRole", arn)?;
    // As in AWS, a missing role and a denied one give the same error.
    let role = services.roles.iter().find(|role| role.arn == arn && role.trusts(caller, external_id));
    let role = role.ok_or_else(|| caller.access_denied("sts:AssumeRole", arn))?;
    let lifetime = session_duration(form, role, caller)?;
    let session = build_role_session(form, role, caller)?;
    let source_identity = session.source_identity.clone();
    let owner = CallerPrincipal {
        account: role.account.clone(),
        arn: format!("arn:aws:sts::{}:assumed-role/{}/{name}", role.account, role.name),
        user_id: format!("{}:{name}", role.id),
        session: Some(session),
    };
    let user = [element("AssumedRoleId", &owner.user_id), element("Arn", &owner.arn)].concat();
    let expires_at = now().checked_add(lifetime).ok_or_else(expiry_out_of_range_error)?;
    let key = lock_ignoring_poison(&services.keys).issue_credentials(owner, expires_at);
    let echoed = source_identity.map(|id| element("SourceIdentity", &id)).unwrap_or_default();
    Ok(format!("<AssumedRoleUser>{user}</AssumedRoleUser>{}{echoed}", credentials_xml(&key, expires_at)?))
}

fn credentials_xml(key: &Credentials, expires_at: SystemTime) -> Result<String, AwsError> {
    let whole_seconds = DateTime::from_secs(DateTime::from(expires_at).secs());
    let expiration = whole_seconds.fmt(Format::DateTime).map_err(|_| expiry_out_of_range_error())?;
    let fields = [
        element("AccessKeyId", key.access_key_id()),
        element("SecretAccessKey", key.secret_access_key()),
        element("SessionToken", key.session_token().unwrap_or_default()),
        element("Expiration", &expiration),
    ];
    Ok(format!("<Credentials>{}</Credentials>", fields.concat()))
}

fn expiry_out_of_range_error() -> AwsError {
    AwsError::new(ErrorCode::Invalid, "The session would expire outside of the range of dates.")
}

fn session_duration(form: &FormBody, role: &Role, caller: &CallerPrincipal) -> Result<Duration, AwsError> {
    let seconds = match form.get("DurationSeconds") {
        None => DEFAULT_DURATION_SECONDS.min(role.max_session_duration.as_secs()),
        Some(text) => text
            .parse()
            .map_err(|_| AwsError::new(ErrorCode::Malformed, "'durationSeconds' is not a number."))?,
    };
    let message = if seconds < MIN_DURATION_SECONDS {
        format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: \
             Member must have value greater than or equal to {MIN_DURATION_SECONDS}"
        )
    } else if seconds > role.max_session_duration.as_secs() {
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned()
    } else if caller.session.is_some() && seconds > MAX_CHAINED_DURATION_SECONDS {
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            .to_owned()
    } else {
        return Ok(Duration::from_secs(seconds));
    };
    Err(AwsError::new(ErrorCode::Invalid, message))
}

fn build_role_session(
    form: &FormBody,
    role: &Role,
    caller: &CallerPrincipal,
) -> Result<RoleSession, AwsError> {
    if form.0.iter().any(|(key, _)| key.starts_with("PolicyArns.")) {
        return Err(AwsError::new(ErrorCode::Invalid, "The local AWS has no managed policies."));
    }
    Ok(RoleSession {
        role_arn: role.arn.clone(),
        source_identity: resolve_source_identity(form, role, caller)?,
        tags: session_tags(form, caller)?,
        transitive_tags: merge_transitive_tags(form, caller),
        policy: form.get("Policy").map(SessionPolicyDocument::parse).transpose()?,
    })
}

/// Returns the source identity, which stays the same along a chain of roles.
fn resolve_source_identity(
    form: &FormBody,
    role: &Role,
    caller: &CallerPrincipal,
) -> Result<Option<String>, AwsError> {
    let inherited = caller.session.as_ref().and_then(|session| session.source_identity.as_deref());
    let requested = form.get("SourceIdentity").map(|id| check_name(id, "sourceIdentity", 256)).transpose()?;
    match (inherited, requested) {
        (Some(inherited), Some(requested)) if inherited != requested => {
            Err(caller.access_denied("sts:SetSourceIdentity", &role.arn))
        }
        (inherited, requested) => Ok(requested.or(inherited).map(str::to_owned)),
    }
}

/// Returns the inherited tags, which cannot be overwritten, and the requested ones.
fn session_tags(form: &FormBody, caller: &CallerPrincipal) -> Result<Vec<(String, String)>, AwsError> {
    let invalid = |message: &str| Err(AwsError::new(ErrorCode::Invalid, message));
    let mut tags: Vec<(String, String)> =
        caller.session.iter().flat_map(RoleSession::inherited_tags).collect();
    for index in 1..=form.0.len() {
        let Some(key) = form.get(&format!("Tags.member.{index}.Key")) else { break };
        let value = form.get(&format!("Tags.member.{index}.Value")).unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return invalid(
                "1 validation error detected: a tag key has 1 to 128 characters, its value up to 256",
            );
        }
        if tags.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(key)) {
            return invalid("A session tag is given twice, or is inherited from the calling session.");
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    if tags.len() > MAX_TAGS { invalid("A session has at most 50 tags.") } else { Ok(tags) }
}

fn merge_transitive_tags(form: &FormBody, caller: &CallerPrincipal) -> Vec<String> {
    let inherited = caller.session.iter().flat_map(|session| session.transitive_tags.iter().cloned());
    let requested = form.0.iter().filter(|(field, _)| field.starts_with("TransitiveTagKeys.member."));
    inherited.chain(requested.map(|(_, tag)| tag.clone())).collect()
}

fn check_name<'a>(text: &'a str, field: &str, max: usize) -> Result<&'a str, AwsError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if (2..=max).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text);
    }
    let message = format!(
        "1 validation error detected: Value at '{field}' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: [\\w+=,.@-]* and have 2 to {max} characters"
    );
    Err(AwsError::new(ErrorCode::Invalid, message))
}
