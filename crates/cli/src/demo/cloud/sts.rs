//! The Security Token Service: who am I, and may I be somebody else for a while.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::answer::{Answer, Fault, Refusal, element};
use super::identity::{Principal, RoleSession};
use super::policy::Policy;
use super::request::Form;
use super::role::Role;
use super::{Cloud, lock, now};

const SHORTEST: u64 = 900;
const DEFAULT: u64 = 3600;
const CHAINED: u64 = 3600;
const MAX_TAGS: usize = 50;

pub(super) fn answer(
    cloud: &Cloud,
    caller: &Principal,
    action: &str,
    form: &Form,
) -> Result<Answer, Refusal> {
    match action {
        "GetCallerIdentity" => Ok(Answer::Xml("GetCallerIdentity", caller_identity(caller))),
        "AssumeRole" => Ok(Answer::Xml("AssumeRole", assume_role(cloud, caller, form)?)),
        _ => {
            let message = format!("Could not find operation {action} for version 2011-06-15");
            Err(Refusal::new(Fault::UnknownAction, message))
        }
    }
}

/// Needs no permission: even a session that may do nothing may ask who it is.
fn caller_identity(caller: &Principal) -> String {
    [element("Arn", &caller.arn), element("UserId", &caller.user_id), element("Account", &caller.account)]
        .concat()
}

fn assume_role(cloud: &Cloud, caller: &Principal, form: &Form) -> Result<String, Refusal> {
    let arn = form.required("RoleArn")?;
    let name = named(form.required("RoleSessionName")?, "roleSessionName")?;
    let external_id = form.get("ExternalId");
    caller.check("sts:AssumeRole", arn)?;
    // That a role does not exist is told in the same words as that it may not be assumed.
    let role = cloud.roles.iter().find(|role| role.arn == arn && role.admits(caller, external_id));
    let role = role.ok_or_else(|| caller.refused("sts:AssumeRole", arn))?;
    let lifetime = lifetime(form, role, caller)?;
    let session = session(form, role, caller)?;
    let source_identity = session.source_identity.clone();
    let owner = Principal {
        account: role.account.clone(),
        arn: format!("arn:aws:sts::{}:assumed-role/{}/{name}", role.account, role.name),
        user_id: format!("{}:{name}", role.id),
        session: Some(session),
    };
    let user = [element("AssumedRoleId", &owner.user_id), element("Arn", &owner.arn)].concat();
    let expires_at = now().checked_add(lifetime).ok_or_else(endless)?;
    let key = lock(&cloud.keys).issue(owner, expires_at);
    let echoed = source_identity.map(|id| element("SourceIdentity", &id)).unwrap_or_default();
    Ok(format!("<AssumedRoleUser>{user}</AssumedRoleUser>{}{echoed}", issued(&key, expires_at)?))
}

fn issued(key: &Credentials, expires_at: SystemTime) -> Result<String, Refusal> {
    let whole_seconds = DateTime::from_secs(DateTime::from(expires_at).secs());
    let expiration = whole_seconds.fmt(Format::DateTime).map_err(|_| endless())?;
    let fields = [
        element("AccessKeyId", key.access_key_id()),
        element("SecretAccessKey", key.secret_access_key()),
        element("SessionToken", key.session_token().unwrap_or_default()),
        element("Expiration", &expiration),
    ];
    Ok(format!("<Credentials>{}</Credentials>", fields.concat()))
}

fn endless() -> Refusal {
    Refusal::new(Fault::Invalid, "The session would end outside of the calendar.")
}

fn lifetime(form: &Form, role: &Role, caller: &Principal) -> Result<Duration, Refusal> {
    let asked = form.get("DurationSeconds");
    let seconds = match asked {
        None => DEFAULT.min(role.max_session.as_secs()),
        Some(text) => {
            text.parse().map_err(|_| Refusal::new(Fault::Malformed, "'durationSeconds' is not a number."))?
        }
    };
    let fault = if seconds < SHORTEST {
        format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: \
             Member must have value greater than or equal to {SHORTEST}"
        )
    } else if seconds > role.max_session.as_secs() {
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned()
    } else if caller.session.is_some() && seconds > CHAINED {
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            .to_owned()
    } else {
        return Ok(Duration::from_secs(seconds));
    };
    Err(Refusal::new(Fault::Invalid, fault))
}

fn session(form: &Form, role: &Role, caller: &Principal) -> Result<RoleSession, Refusal> {
    if form.0.iter().any(|(key, _)| key.starts_with("PolicyArns.")) {
        return Err(Refusal::new(
            Fault::Invalid,
            "This cloud has no managed policies, so no session can be narrowed by one.",
        ));
    }
    Ok(RoleSession {
        role_arn: role.arn.clone(),
        source_identity: source_identity(form, role, caller)?,
        tags: tags(form, caller)?,
        transitive_tags: transitive_tags(form, caller),
        policy: form.get("Policy").map(Policy::parse).transpose()?,
    })
}

/// Once set, the source identity stays the same along a chain of roles.
fn source_identity(form: &Form, role: &Role, caller: &Principal) -> Result<Option<String>, Refusal> {
    let inherited = caller.session.as_ref().and_then(|session| session.source_identity.as_deref());
    let asked = form.get("SourceIdentity").map(|id| named(id, "sourceIdentity")).transpose()?;
    match (inherited, asked) {
        (Some(inherited), Some(asked)) if inherited != asked => {
            Err(caller.refused("sts:SetSourceIdentity", &role.arn))
        }
        (inherited, asked) => Ok(asked.or(inherited).map(str::to_owned)),
    }
}

/// The tags asked for, after those which the caller's session passes on and nobody may overwrite.
fn tags(form: &Form, caller: &Principal) -> Result<Vec<(String, String)>, Refusal> {
    let invalid = |message: &str| Err(Refusal::new(Fault::Invalid, message));
    let mut tags: Vec<(String, String)> = caller.session.iter().flat_map(RoleSession::passed_on).collect();
    for index in 1..=form.0.len() {
        let Some(key) = form.get(&format!("Tags.member.{index}.Key")) else { break };
        let value = form.get(&format!("Tags.member.{index}.Value")).unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return invalid(
                "1 validation error detected: a tag key has 1 to 128 characters, its value up to 256",
            );
        }
        if tags.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(key)) {
            return invalid("A session tag is given twice, or is already passed on by the calling session.");
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    if tags.len() > MAX_TAGS { invalid("A session has at most 50 tags.") } else { Ok(tags) }
}

fn transitive_tags(form: &Form, caller: &Principal) -> Vec<String> {
    let inherited = caller.session.iter().flat_map(|session| session.transitive_tags.iter().cloned());
    let asked = form.0.iter().filter(|(field, _)| field.starts_with("TransitiveTagKeys.member."));
    inherited.chain(asked.map(|(_, tag)| tag.clone())).collect()
}

fn named<'a>(text: &'a str, field: &str) -> Result<&'a str, Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if (2..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text);
    }
    let message = format!(
        "1 validation error detected: Value at '{field}' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: [\\w+=,.@-]* and have 2 to 64 characters"
    );
    Err(Refusal::new(Fault::Invalid, message))
}
