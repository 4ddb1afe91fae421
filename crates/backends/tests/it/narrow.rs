//! A narrowed role: what STS receives in place of the policy, and what is refused before it is asked.

use std::sync::Arc;

use valetkey_backends::{AssumeRoleBuilder, AssumeRoleProvider, MemoryProvider};
use valetkey_core::{CredentialProvider, ErrorKind, Scope, SessionContext, SessionPolicy};

use crate::wire::{Wire, assumed};
use crate::{long_lived, source};

fn of(wire: &Wire) -> AssumeRoleBuilder {
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    AssumeRoleProvider::builder(role, source()).session_name("agent-7").tag("team", "blue").base(&wire.base())
}

fn granting() -> Wire {
    Wire::saying(200, assumed("ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token"))
}

fn allowing(action: &str) -> SessionPolicy {
    written(action).parse().unwrap()
}

fn written(action: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
    )
}

#[tokio::test]
async fn sts_receives_the_policy_and_everything_else_as_before() {
    let wire = granting();
    let role = of(&wire).build().unwrap();
    role.provide().await.unwrap();
    role.narrowed(&allowing("s3:Get*")).unwrap().provide().await.unwrap();
    let [plain, mut narrowed] = [0, 1].map(|n| wire.sent()[n].form());
    assert_eq!(narrowed.remove("Policy"), Some(written("s3:Get*")));
    assert_eq!(narrowed, plain);
}

#[tokio::test]
async fn a_policy_of_its_own_is_narrowed_further_and_never_replaced() {
    let wire = granting();
    let spaced = written("s3:*").replace(':', " : ").replace("s3 : ", "s3:");
    let role = of(&wire).policy(spaced).build().unwrap();
    let narrowed = role.narrowed(&allowing("s3:Get*")).unwrap();
    narrowed.narrowed(&allowing("s3:GetObject")).unwrap().provide().await.unwrap();
    assert_eq!(wire.sent()[0].form()["Policy"], written("s3:GetObject"));
    let error = narrowed.narrowed(&allowing("ec2:*")).unwrap_err();
    assert_eq!(
        (error.kind(), error.field(), error.provider()),
        (ErrorKind::Invalid, Some("policy"), Some("assume-role"))
    );
}

#[tokio::test]
async fn what_cannot_be_told_to_narrow_is_refused_before_sts_is_asked() {
    let wire = granting();
    let with_arn = || of(&wire).policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess");
    let not_action =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}]}"#;
    for (role, field) in [
        (with_arn(), "policy_arns"),
        (with_arn().policy(written("s3:*")), "policy_arns"),
        (of(&wire).policy(not_action), "policy"),
        (of(&wire).policy(r#"{"Version":"2012-10-17","Statement":[]}"#), "policy"),
    ] {
        let error = role.build().unwrap().narrowed(&allowing("s3:Get*")).unwrap_err();
        assert_eq!(
            (error.kind(), error.field(), error.provider()),
            (ErrorKind::Invalid, Some(field), Some("assume-role")),
            "{error}"
        );
        assert!(error.next_step().is_some(), "{error}");
    }
    assert!(wire.sent().is_empty());
}

#[tokio::test]
async fn keys_that_lie_somewhere_cannot_be_narrowed_and_a_role_assumed_with_them_can() {
    let wire = granting();
    let keys = Arc::new(MemoryProvider::from(long_lived(crate::KEY_ID)));
    let session = SessionContext::builder().provider(keys.clone()).build();
    let scope = || Scope::new().policy(allowing("s3:Get*"));
    let error = session.narrow(scope()).unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Invalid, Some("memory")), "{error}");
    assert!(error.message().contains("`default`") && error.next_step().unwrap().contains("role"), "{error}");

    let session = SessionContext::builder().provider(of(&wire).build().unwrap()).build();
    let child = session.narrow(scope()).unwrap();
    child.credentials().await.unwrap();
    session.credentials().await.unwrap();
    assert_eq!(wire.sent()[0].form()["Policy"], written("s3:Get*"));
    assert!(!wire.sent()[1].form().contains_key("Policy"));
}
