//! Revocation: issued credentials work after their session was closed, until a policy on their role denies them.

use std::time::{Duration, SystemTime};

use valetkey_backends::AssumeRoleBuilder;
use valetkey_core::{
    Attribution, Clock, Credentials, RevocationPolicy, SessionContext, SessionId, SystemClock,
};
use valetkey_rig::{MiniStack, REGION, Script, Seed, Tenant, aws_environment};

use super::ministack::{refusal, s3, seeded};
use super::role;
use crate::region;

/// Puts `policy` on the tenant's role, as its owner would.
async fn revoke(url: &str, tenant: &Tenant, policy: &RevocationPolicy) {
    const PUT: &str = "import boto3, sys; boto3.client('iam').put_role_policy(RoleName='agent', \
        PolicyName='valetkey-revoked', PolicyDocument=sys.argv[1])";
    let root = MiniStack::root(&tenant.account);
    let mut vars = aws_environment(url);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), root.access_key_id));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), root.secret_access_key));
    Script::new("-c").arg(PUT).arg(policy.to_string()).envs(vars).run().await.unwrap();
}

/// A session of the role, closed, and a copy of its credentials that a child process kept.
async fn issued_credentials(
    seed: &Seed,
    url: &str,
    configure: impl FnOnce(AssumeRoleBuilder, &Attribution) -> AssumeRoleBuilder,
) -> (SessionId, Credentials) {
    let session = SessionContext::builder().region(region(REGION)).build();
    let builder = configure(role(&seed.tenants[0], &seed.broker, url), &Attribution::for_session(&session));
    session.set_provider(builder.build().unwrap()).unwrap();
    let copy = session.credentials().await.unwrap();
    let outstanding = session.close();
    assert_eq!(outstanding.expires_at(), Some(copy.expiry()), "closing says until when the copy works");
    (outstanding.session, copy)
}

async fn is_accepted(copy: &Credentials, ministack: &MiniStack) -> bool {
    let holder = SessionContext::builder().region(region(REGION)).build();
    holder.set_credentials(copy.clone()).unwrap();
    refusal(&s3(&holder, ministack).await).await.is_none()
}

#[tokio::test]
async fn revocation_policy_revokes_matching_session_only() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let tagged =
        issued_credentials(&seed, &url, |role, who| role.session_name("agent-7").attribution(who)).await;
    let named =
        issued_credentials(&seed, &url, |role, who| role.attribution(who).without_attribution_tags()).await;
    let made = issued_credentials(&seed, &url, |role, who| {
        let template = "vk-{session}-x".parse().unwrap();
        role.attribution(who).without_attribution_tags().session_name_from(template)
    })
    .await;
    let sessions = [tagged, named, made];
    for (_, copy) in &sessions {
        assert!(is_accepted(copy, &ministack).await, "closing recalls nothing");
    }
    for (id, _) in &sessions {
        revoke(&url, tenant, &RevocationPolicy::for_session(*id, SystemClock.now())).await;
        for (other, copy) in &sessions {
            assert_eq!(
                is_accepted(copy, &ministack).await,
                other != id,
                "of all these, only its own is ended"
            );
        }
    }
    let unmarked = issued_credentials(&seed, &url, |role, _| role.session_name("agent-7")).await;
    revoke(&url, tenant, &RevocationPolicy::for_session(unmarked.0, SystemClock.now())).await;
    assert!(is_accepted(&unmarked.1, &ministack).await, "nothing says whose it is");
    let by_name = RevocationPolicy::for_session_name("agent-7", SystemClock.now()).unwrap();
    revoke(&url, tenant, &by_name).await;
    let [tagged, named, _] = &sessions;
    assert!(
        !is_accepted(&unmarked.1, &ministack).await && !is_accepted(&tagged.1, &ministack).await,
        "both have the name"
    );
    assert!(is_accepted(&named.1, &ministack).await);
    ministack.stop().await.unwrap();
}

/// The peer, too, counts issue times in whole seconds.
async fn wait_until(instant: SystemTime) {
    while SystemClock.now() < instant {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn revocation_policy_spares_credentials_issued_later() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let (_, before) = issued_credentials(&seed, &url, |role, _| role).await;
    let now = SystemClock.now();
    revoke(&url, tenant, &RevocationPolicy::for_all_sessions(now)).await;
    assert!(!is_accepted(&before, &ministack).await, "though it was issued in the same second");
    wait_until(now + Duration::from_secs(1)).await;
    let (_, after) = issued_credentials(&seed, &url, |role, _| role).await;
    assert!(is_accepted(&after, &ministack).await && !is_accepted(&before, &ministack).await);
    ministack.stop().await.unwrap();
}
