//! The Security Token Service: `GetCallerIdentity` and `AssumeRole`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::key_store::{Caller, RoleSession};
use super::request::FormBody;
use super::response::{AwsError, ErrorCode, ServiceResponse, element};
use super::role::Role;
use super::services::{Services, lock, now};
use super::session_policy::SessionPolicy;

const MIN_DURATION: u64 = 900;
const DEFAULT_DURATION: u64 = 3600;
const MAX_CHAINED_DURATION: u64 = 3600;
const MAX_TAGS: usize = 50;

pub(super) fn dispatch(
    services: &Services,
    caller: &Caller,
    action: &str,
    form: &FormBody,
) -> Result<ServiceResponse, AwsError> {
    match action {
        "GetCallerIdentity" => Ok(ServiceResponse::Xml("GetCallerIdentity", caller_identity(caller))),
        "AssumeRole" => Ok(ServiceResponse::Xml("AssumeRole", assume_role(services, caller, form)?)),
        _ => {
            let message = format!("Could not find operation {action} for version 2011-06-15");
            Err(AwsError::new(ErrorCode::UnknownAction, message))
        }
    }
}

/// Needs no permission, as in AWS.
fn caller_identity(caller: &Caller) -> String {
    [element("Arn", &caller.arn), element("UserId", &caller.user_id), element("Account", &caller.account)]
        .concat()
}

fn assume_role(services: &Services, caller: &Caller, form: &FormBody) -> Result<String, AwsError> {
    let arn = form.required("RoleArn")?;
    let name = check_name(form.required("RoleSessionName")?, "roleSessionName", 64)?;
    let external_id = form.get("ExternalId");
    caller.check("sts:AssumeRole", arn)?;
    // As in AWS, a missing role and a denied one give the same error.
    let role = services.roles.iter().find(|role| role.arn == arn && role.trusts(caller, external_id));
    let role = role.ok_or_else(|| caller.denied("sts:AssumeRole", arn))?;
    let lifetime = lifetime(form, role, caller)?;
    let session = session(form, role, caller)?;
    let source_identity = session.source_identity.clone();
    let owner = Caller {
        account: role.account.clone(),
        arn: format!("arn:aws:sts::{}:assumed-role/{}/{name}", role.account, role.name),
        user_id: format!("{}:{name}", role.id),
        session: Some(session),
    };
    let user = [element("AssumedRoleId", &owner.user_id), element("Arn", &owner.arn)].concat();
    let expires_at = now().checked_add(lifetime).ok_or_else(expiry_out_of_range)?;
    let key = lock(&services.keys).issue(owner, expires_at);
    let echoed = source_identity.map(|id| element("SourceIdentity", &id)).unwrap_or_default();
    Ok(format!("<AssumedRoleUser>{user}</AssumedRoleUser>{}{echoed}", issued(&key, expires_at)?))
}

fn issued(key: &Credentials, expires_at: SystemTime) -> Result<String, AwsError> {
    let whole_seconds = DateTime::from_secs(DateTime::from(expires_at).secs());
    let expiration = whole_seconds.fmt(Format::DateTime).map_err(|_| expiry_out_of_range())?;
    let fields = [
        element("AccessKeyId", key.access_key_id()),
        element("SecretAccessKey", key.secret_access_key()),
        element("SessionToken", key.session_token().unwrap_or_default()),
        element("Expiration", &expiration),
    ];
    Ok(format!("<Credentials>{}</Credentials>", fields.concat()))
}

fn expiry_out_of_range() -> AwsError {
    AwsError::new(ErrorCode::Invalid, "The session would expire outside of the range of dates.")
}

fn lifetime(form: &FormBody, role: &Role, caller: &Caller) -> Result<Duration, AwsError> {
    let seconds = match form.get("DurationSeconds") {
        None => DEFAULT_DURATION.min(role.max_session.as_secs()),
        Some(text) => text
            .parse()
            .map_err(|_| AwsError::new(ErrorCode::Malformed, "'durationSeconds' is not a number."))?,
    };
    let message = if seconds < MIN_DURATION {
        format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: \
             Member must have value greater than or equal to {MIN_DURATION}"
        )
    } else if seconds > role.max_session.as_secs() {
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned()
    } else if caller.session.is_some() && seconds > MAX_CHAINED_DURATION {
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            .to_owned()
    } else {
        return Ok(Duration::from_secs(seconds));
    };
    Err(AwsError::new(ErrorCode::Invalid, message))
}

fn session(form: &FormBody, role: &Role, caller: &Caller) -> Result<RoleSession, AwsError> {
    if form.0.iter().any(|(key, _)| key.starts_with("PolicyArns.")) {
        return Err(AwsError::new(ErrorCode::Invalid, "The local AWS has no managed policies."));
    }
    Ok(RoleSession {
        role_arn: role.arn.clone(),
        source_identity: source_identity(form, role, caller)?,
        tags: tags(form, caller)?,
        transitive_tags: transitive_tags(form, caller),
        policy: form.get("Policy").map(SessionPolicy::parse).transpose()?,
    })
}

/// A source identity stays the same along a chain of roles.
fn source_identity(form: &FormBody, role: &Role, caller: &Caller) -> Result<Option<String>, AwsError> {
    let inherited = caller.session.as_ref().and_then(|session| session.source_identity.as_deref());
    let requested = form.get("SourceIdentity").map(|id| check_name(id, "sourceIdentity", 256)).transpose()?;
    match (inherited, requested) {
        (Some(inherited), Some(requested)) if inherited != requested => {
            Err(caller.denied("sts:SetSourceIdentity", &role.arn))
        }
        (inherited, requested) => Ok(requested.or(inherited).map(str::to_owned)),
    }
}

/// The inherited tags, which cannot be overwritten, and the requested ones.
fn tags(form: &FormBody, caller: &Caller) -> Result<Vec<(String, String)>, AwsError> {
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

fn transitive_tags(form: &FormBody, caller: &Caller) -> Vec<String> {
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
