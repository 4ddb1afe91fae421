//! The records of AWS lead back to one session: by its name, and by its tags in policy conditions.

use std::sync::Arc;

use aws_sdk_sts::Client;
use valetkey_backends::SdkConfigExt;
use valetkey_core::audit::{AuditEvent, InMemoryAudit};
use valetkey_core::{Attribution, SessionContext, SessionId};
use valetkey_rig::{MiniStack, REGION, Script, Seed, Tenant, aws_environment};

use super::ministack::{refusal, s3, seeded};
use super::{client_config_at, role};
use crate::region;

/// A session of alice with an audit log, over a role with its attribution.
fn attributed(seed: &Seed, url: &str, principal: &str) -> (SessionContext, Arc<InMemoryAudit>) {
    let audit = Arc::new(InMemoryAudit::default());
    let session = SessionContext::builder()
        .region(region(REGION))
        .principal(principal.parse().unwrap())
        .audit(audit.clone())
        .build();
    let who = Attribution::for_session(&session).account("prod".parse().unwrap());
    let provider = role(&seed.tenants[0], &seed.broker, url).attribution(&who).build().unwrap();
    session.set_provider(provider).unwrap();
    (session, audit)
}

/// The name of the role session that the peer takes the caller for, as CloudTrail has it in each line.
async fn role_session_name(session: &SessionContext, url: &str) -> String {
    let client = Client::new(&session.sdk_config_from(client_config_at(url).config()).await.unwrap());
    let arn = client.get_caller_identity().send().await.unwrap().arn.unwrap();
    arn.rsplit_once('/').unwrap().1.to_owned()
}

#[tokio::test]
async fn role_session_name_identifies_one_audited_session() {
    let (ministack, seed) = seeded().await;
    let url = ministack.url();
    let sessions: Vec<_> = ["alice", "alice", "bob"].map(|who| attributed(&seed, &url, who)).into();
    for (session, audit) in &sessions {
        let name = role_session_name(session, &url).await;
        let found: SessionId = name.strip_prefix("valetkey-").unwrap().parse().unwrap();
        assert_eq!(found, session.id());
        let issued = audit.records();
        let issued: Vec<_> = issued.iter().filter(|record| record.event == AuditEvent::Issue).collect();
        assert_eq!(issued.len(), 1);
        assert_eq!((issued[0].session, issued[0].principal.as_ref()), (found, session.principal()));
        let others = sessions.iter().filter(|(other, _)| other.id() == found);
        assert_eq!(others.count(), 1, "one line, one session");
    }
    ministack.stop().await.unwrap();
}

/// Denies buckets to sessions with this value for this tag.
async fn deny_buckets_to(url: &str, tenant: &Tenant, tag: &str, value: &str) {
    const PUT: &str = "import boto3, json, sys; boto3.client('iam').put_role_policy(RoleName='agent', \
        PolicyName='tagged', PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Deny', \
        'Action': 's3:*', 'Resource': '*', \
        'Condition': {'StringEquals': {'aws:PrincipalTag/' + sys.argv[1]: sys.argv[2]}}}]}))";
    let root = MiniStack::root(&tenant.account);
    let mut vars = aws_environment(url);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), root.access_key_id));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), root.secret_access_key));
    Script::new("-c").arg(PUT).arg(tag).arg(value).envs(vars).run().await.unwrap();
}

#[tokio::test]
async fn session_tags_match_role_policy_conditions() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let [(first, _), (second, _), (other, _)] =
        ["alice", "alice", "bob"].map(|who| attributed(&seed, &url, who));
    let refused = async |session: &SessionContext| refusal(&s3(session, &ministack).await).await.is_some();
    for session in [&first, &second, &other] {
        assert!(!refused(session).await);
    }
    deny_buckets_to(&url, tenant, "valetkey:principal", "alice").await;
    assert_eq!([refused(&first).await, refused(&second).await, refused(&other).await], [true, true, false]);
    deny_buckets_to(&url, tenant, "valetkey:session", &second.id().to_string()).await;
    assert_eq!([refused(&first).await, refused(&second).await, refused(&other).await], [false, true, false]);
    ministack.stop().await.unwrap();
}
