//! Detects values in a form that AWS shows but a setting does not accept, and suggests the accepted form.

use valetkey::{Error, Result};

/// Rejects the ARN of a role session, which `aws sts get-caller-identity` shows, and names the role.
pub(super) fn check_role(text: &str) -> Result<()> {
    let parts: Vec<&str> = text.split(':').collect();
    let [_, partition, "sts", "", account, resource] = parts[..] else { return Ok(()) };
    let Some((role, _)) = resource.strip_prefix("assumed-role/").and_then(|names| names.split_once('/'))
    else {
        return Ok(());
    };
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if ![partition, account, role].into_iter().all(plain) {
        return Ok(());
    }
    Err(Error::invalid("role_arn", "is the ARN of a role session").with_next_step(format!(
        "name the role, such as `arn:{partition}:iam::{account}:role/{role}`, with its path if it has one"
    )))
}

/// Rejects the form in which ECS task definitions name a secret: an ARN, a key of its JSON, a stage and a version.
pub(super) fn check_secret(text: &str) -> Result<()> {
    if !text.starts_with("arn:") || text.split(':').count() <= 7 {
        return Ok(());
    }
    Err(Error::invalid("secret_id", "is an ARN with parts of an ECS task definition behind it")
        .with_next_step(
            "end it after the name of the secret; `version_stage` and `version_id` are settings of their own",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_role_session_arn_suggests_role_arn() {
        let refused = check_role("arn:aws-cn:sts::111111111111:assumed-role/agent/session").unwrap_err();
        assert!(refused.next_step().unwrap().contains("`arn:aws-cn:iam::111111111111:role/agent`"));
        for text in ["arn:aws:iam::111111111111:role/agent", "arn:aws:sts::1:assumed-role/\x1b/x", "x"] {
            assert!(check_role(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn check_secret_ecs_reference_fails() {
        let secret = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:team/key-AbCdEf";
        assert!(check_secret(secret).is_ok() && check_secret("team/key").is_ok());
        for suffix in [":key::", ":SecretString:AWSCURRENT", ":key:AWSPREVIOUS:id"] {
            assert!(check_secret(&format!("{secret}{suffix}")).is_err(), "{suffix}");
        }
    }
}
