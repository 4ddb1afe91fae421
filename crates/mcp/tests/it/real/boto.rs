//! boto3 on its default chain, in one process: it reads its credentials from the endpoint, and follows their
//! rotation.

use valetkey_core::SessionContext;
use valetkey_rig::{MiniStack, Moto, Result, Script};

use super::boto3_fixture::Boto3CallerFixture;
use super::{assume_role, python_script, signing_env};

const ROLE: &str = "arn:aws:iam::111111111111:role/agent";

fn any_key() -> valetkey_rig::AccessKey {
    valetkey_rig::AccessKey {
        access_key_id: "AKIAANYBODY000000001".to_owned(),
        secret_access_key: "anything".to_owned(),
    }
}

fn assumed_role_arn(account: &str, session: &str) -> String {
    format!("arn:aws:sts::{account}:assumed-role/agent/{session}")
}

#[tokio::test]
async fn boto3_follows_rotation_and_clear_in_one_process() -> Result<()> {
    let (moto, session) = (Moto::start().await?, SessionContext::builder().build());
    let mut caller = Boto3CallerFixture::start(&session, &moto.url()).await?;
    assert_eq!(caller.caller_arn().await, "CredentialRetrievalError", "nothing is set yet");
    for name in ["first", "second"] {
        session.set_credentials(assume_role(&moto.url(), &any_key(), &[ROLE, name]).await?).unwrap();
        assert_eq!(caller.caller_arn().await, assumed_role_arn("111111111111", name));
    }
    session.clear();
    assert_eq!(caller.caller_arn().await, "CredentialRetrievalError");
    caller.process.stop().await;
    moto.stop().await
}

#[tokio::test]
async fn aws_refuses_expired_credentials() -> Result<()> {
    let ministack = MiniStack::start().await?;
    let (seed, session) = (ministack.seed().await?, SessionContext::builder().build());
    let tenant = &seed.tenants[0];
    let mut caller = Boto3CallerFixture::start(&session, &ministack.url()).await?;
    let role = [tenant.role_arn.as_str(), "brief", &tenant.external_id, "8"];
    let brief = assume_role(&ministack.url(), &seed.broker, &role).await?;
    // The credentials are set without their expiry, so that the service refuses them and not the SDK.
    let credentials_json = serde_json::json!({
        "AccessKeyId": brief.access_key_id().as_str(),
        "SecretAccessKey": brief.expose_secret_access_key(),
        "SessionToken": brief.expose_session_token(),
    });
    session
        .set_credentials(valetkey_core::Credentials::from_json_value(&credentials_json, "test").unwrap())
        .unwrap();
    assert_eq!(caller.caller_arn().await, assumed_role_arn(&tenant.account, "brief"));
    caller.wait_for_arn("ExpiredToken").await;

    let fresh =
        assume_role(&ministack.url(), &seed.broker, &[&tenant.role_arn, "fresh", &tenant.external_id])
            .await?;
    session.set_credentials(fresh).unwrap();
    assert_eq!(caller.caller_arn().await, assumed_role_arn(&tenant.account, "fresh"));
    caller.process.stop().await;
    ministack.stop().await
}

#[tokio::test]
async fn aws_refuses_revoked_session_of_one_tenant_only() -> Result<()> {
    let ministack = MiniStack::start().await?;
    let seed = ministack.seed().await?;
    let mut callers = Vec::new();
    for tenant in &seed.tenants {
        let role = [tenant.role_arn.as_str(), "agent", &tenant.external_id];
        let session = SessionContext::builder().build();
        session.set_credentials(assume_role(&ministack.url(), &seed.broker, &role).await?).unwrap();
        let mut caller = Boto3CallerFixture::start(&session, &ministack.url()).await?;
        assert_eq!(caller.send_line(&format!("objects {}", tenant.bucket)).await, "0 objects");
        callers.push((tenant, session, caller));
    }
    let root = MiniStack::root(&seed.tenants[0].account);
    Script::new(python_script("revoke.py"))
        .arg("agent")
        .envs(signing_env(&ministack.url(), &root))
        .run()
        .await?;
    let expected_results = [("AccessDenied", 0), ("0 objects", 1)];
    for (expected, index) in expected_results {
        let (tenant, _session, caller) = &mut callers[index];
        assert_eq!(caller.send_line(&format!("objects {}", tenant.bucket)).await, expected);
    }
    for (_, _, caller) in callers {
        caller.process.stop().await;
    }
    ministack.stop().await
}
