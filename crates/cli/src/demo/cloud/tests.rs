//! The cloud as its clients meet it, but without sockets: requests are signed here, and judged there.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::body::to_bytes;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};

use super::*;

const ROLE: &str = "arn:aws:iam::111111111111:role/agent";

const CHAINED: &str = "arn:aws:iam::222222222222:role/next";

type Failed = Box<dyn std::error::Error>;

fn cloud() -> io::Result<Arc<Cloud>> {
    let plan = CloudPlan::new()
        .user(UserPlan::new("999999999999", "broker", "AKIABROKER", "broker-secret"))
        .user(UserPlan::new("222222222222", "other", "AKIAOTHER", "other-secret"))
        .role(RolePlan::new(ROLE).trusts("999999999999").external_id("right"))
        .role(RolePlan::new(CHAINED).trusts(ROLE).max_session(Duration::from_secs(7200)))
        .secret(SecretPlan::new("111111111111", "app/db", "one's value"))
        .secret(SecretPlan::new("222222222222", "app/db", "two's value"))
        .secret(SecretPlan::new("222222222222", "app/other", "two's value"));
    Cloud::build(plan).map(Arc::new)
}

fn broker() -> Credentials {
    Credentials::new("AKIABROKER", "broker-secret", None, None, "test")
}

/// Signs as an SDK does; `at` lets a test be late.
fn signed(key: &Credentials, parts: &mut Parts, body: &str, at: SystemTime) -> Result<(), Failed> {
    let service = Service::of(&parts.headers).signing_name();
    let headers =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    let request =
        SignableRequest::new("POST", "http://localhost/", headers, SignableBody::Bytes(body.as_bytes()))?;
    let identity = key.clone().into();
    let builder = v4::SigningParams::builder().identity(&identity).region("us-east-1").name(service);
    let params: SigningParams<'_> = builder.time(at).settings(SigningSettings::default()).build()?.into();
    let (instructions, _) = sign(request, &params)?.into_parts();
    for (name, value) in instructions.headers() {
        parts.headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(())
}

fn parts(target: Option<&str>) -> Result<Parts, Failed> {
    let mut request = Request::post("/").header("host", "localhost");
    request = match target {
        Some(target) => {
            request.header("x-amz-target", target).header("content-type", "application/x-amz-json-1.1")
        }
        None => request.header("content-type", "application/x-www-form-urlencoded"),
    };
    Ok(request.body(())?.into_parts().0)
}

async fn sent(cloud: &Arc<Cloud>, parts: Parts, body: &str) -> Result<(StatusCode, String), Failed> {
    let response = answer(State(Arc::clone(cloud)), Request::from_parts(parts, body.to_owned().into())).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), BODY_LIMIT).await?;
    Ok((status, String::from_utf8(body.to_vec())?))
}

async fn query(cloud: &Arc<Cloud>, key: &Credentials, fields: &str) -> Result<(StatusCode, String), Failed> {
    let body = format!("Version=2011-06-15&{fields}");
    let mut parts = parts(None)?;
    signed(key, &mut parts, &body, now())?;
    sent(cloud, parts, &body).await
}

async fn secret(cloud: &Arc<Cloud>, key: &Credentials, body: &str) -> Result<(StatusCode, String), Failed> {
    let mut parts = parts(Some("secretsmanager.GetSecretValue"))?;
    signed(key, &mut parts, body, now())?;
    sent(cloud, parts, body).await
}

async fn assumed(cloud: &Arc<Cloud>, more: &str) -> Result<Credentials, Failed> {
    let fields = format!("Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=s1&ExternalId=right{more}");
    let (status, answer) = query(cloud, &broker(), &fields).await?;
    assert_eq!(status, StatusCode::OK, "{}", code(&answer));
    let field = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(value, _)| value.to_owned())
    };
    let id = field("AccessKeyId").ok_or("no key")?;
    Ok(Credentials::new(
        id,
        field("SecretAccessKey").ok_or("no secret")?,
        field("SessionToken"),
        None,
        "test",
    ))
}

fn code(answer: &str) -> String {
    let xml = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let json = answer.split_once("\"__type\":\"").and_then(|(_, rest)| rest.split_once('"'));
    xml.or(json).map_or("", |(code, _)| code).to_owned()
}

#[tokio::test]
async fn an_assumed_role_is_somebody_else_and_reads_its_own_accounts_secrets_only() -> Result<(), Failed> {
    let cloud = cloud()?;
    let key = assumed(&cloud, "&SourceIdentity=alice").await?;
    let (_, who) = query(&cloud, &key, "Action=GetCallerIdentity").await?;
    assert!(who.contains("<Arn>arn:aws:sts::111111111111:assumed-role/agent/s1</Arn>"), "{who}");
    let (_, own) = secret(&cloud, &key, r#"{"SecretId":"app/db"}"#).await?;
    assert!(own.contains("one's value"));
    let (status, foreign) = secret(&cloud, &key, r#"{"SecretId":"app/other"}"#).await?;
    assert_eq!((status, code(&foreign).as_str()), (StatusCode::BAD_REQUEST, "AccessDeniedException"));
    Ok(())
}

#[tokio::test]
async fn trust_external_id_and_length_are_enforced() -> Result<(), Failed> {
    let cloud = cloud()?;
    let other = Credentials::new("AKIAOTHER", "other-secret", None, None, "test");
    let ask = |id: &str, more: &str| {
        format!("Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=s1&ExternalId={id}{more}")
    };
    for (key, fields, expected) in [
        (&broker(), ask("wrong", ""), "AccessDenied"),
        (&other, ask("right", ""), "AccessDenied"),
        (&broker(), ask("right", "&DurationSeconds=899"), "ValidationError"),
        (&broker(), ask("right", "&DurationSeconds=3601"), "ValidationError"),
        (&broker(), ask("right", "&Policy=x"), "MalformedPolicyDocument"),
        (&broker(), "Action=GetFederationToken".to_owned(), "InvalidAction"),
    ] {
        assert_eq!(code(&query(&cloud, key, &fields).await?.1), expected, "{fields}");
    }
    Ok(())
}

#[tokio::test]
async fn a_chained_session_keeps_source_identity_and_transitive_tags_and_is_short() -> Result<(), Failed> {
    let cloud = cloud()?;
    let tags = "&Tags.member.1.Key=tenant&Tags.member.1.Value=one&TransitiveTagKeys.member.1=tenant";
    let key = assumed(&cloud, &format!("&SourceIdentity=alice{tags}")).await?;
    let ask = |more: &str| format!("Action=AssumeRole&RoleArn={CHAINED}&RoleSessionName=s2{more}");
    let (status, served) = query(&cloud, &key, &ask("")).await?;
    assert_eq!(status, StatusCode::OK);
    assert!(served.contains("<SourceIdentity>alice</SourceIdentity>"));
    for (more, expected) in [
        ("&SourceIdentity=mallory", "AccessDenied"),
        ("&Tags.member.1.Key=Tenant&Tags.member.1.Value=two", "ValidationError"),
        ("&DurationSeconds=3601", "ValidationError"),
    ] {
        assert_eq!(code(&query(&cloud, &key, &ask(more)).await?.1), expected, "{more}");
    }
    assert_eq!(code(&query(&cloud, &broker(), &ask("")).await?.1), "AccessDenied");
    Ok(())
}

#[tokio::test]
async fn a_session_policy_takes_away() -> Result<(), Failed> {
    let cloud = cloud()?;
    let policy = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";
    let key = assumed(&cloud, &format!("&Policy={policy}")).await?;
    let (_, refused) = secret(&cloud, &key, r#"{"SecretId":"app/db"}"#).await?;
    assert_eq!(code(&refused), "AccessDeniedException");
    assert_eq!(query(&cloud, &key, "Action=GetCallerIdentity").await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn an_expired_key_is_expired_and_an_unknown_or_forged_one_is_invalid() -> Result<(), Failed> {
    let cloud = cloud()?;
    let key = assumed(&cloud, "").await?;
    let forged = Credentials::new(
        key.access_key_id(),
        "not the secret",
        key.session_token().map(str::to_owned),
        None,
        "test",
    );
    let bare = Credentials::new(key.access_key_id(), key.secret_access_key(), None, None, "test");
    let unknown = Credentials::new("AKIANOBODY", "x", None, None, "test");
    let with_token = Credentials::new("AKIABROKER", "broker-secret", Some("t".into()), None, "test");
    let who = "Action=GetCallerIdentity";
    assert_eq!(code(&query(&cloud, &forged, who).await?.1), "SignatureDoesNotMatch");
    for key in [&bare, &unknown, &with_token] {
        let (status, answer) = query(&cloud, key, who).await?;
        assert_eq!((status, code(&answer).as_str()), (StatusCode::FORBIDDEN, "InvalidClientTokenId"));
    }
    lock(&cloud.keys).age(Duration::from_secs(3600));
    assert_eq!(code(&query(&cloud, &key, who).await?.1), "ExpiredToken");
    assert_eq!(code(&secret(&cloud, &key, r#"{"SecretId":"app/db"}"#).await?.1), "ExpiredTokenException");
    assert_eq!(query(&cloud, &broker(), who).await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn what_was_signed_cannot_be_changed_or_sent_late() -> Result<(), Failed> {
    let cloud = cloud()?;
    let body = "Version=2011-06-15&Action=GetCallerIdentity";
    let mut changed = parts(None)?;
    signed(&broker(), &mut changed, body, now())?;
    changed.uri = "/?Action=x".parse()?;
    assert_eq!(code(&sent(&cloud, changed.clone(), body).await?.1), "SignatureDoesNotMatch");
    changed.uri = "/".parse()?;
    assert_eq!(
        code(&sent(&cloud, changed.clone(), &format!("{body}&x=y")).await?.1),
        "SignatureDoesNotMatch"
    );
    changed.headers.insert("x-amz-unsigned", HeaderValue::from_static("x"));
    assert_eq!(code(&sent(&cloud, changed, body).await?.1), "SignatureDoesNotMatch");
    let mut late = parts(None)?;
    signed(&broker(), &mut late, body, now() - Duration::from_secs(16 * 60))?;
    assert_eq!(code(&sent(&cloud, late, body).await?.1), "SignatureDoesNotMatch");
    assert_eq!(code(&sent(&cloud, parts(None)?, body).await?.1), "MissingAuthenticationToken");
    Ok(())
}

#[tokio::test]
async fn rotation_moves_the_stages_and_leaves_same_named_secrets_alone() -> Result<(), Failed> {
    let cloud = cloud()?;
    let key = assumed(&cloud, "").await?;
    assert!(lock(&cloud.vault).rotate("app/db", "whose?").is_none());
    let arn = lock(&cloud.vault).arn_of("111111111111", "app/db").ok_or("no such secret")?;
    assert!(lock(&cloud.vault).rotate(&arn, "newer").is_some());
    let (_, current) = secret(&cloud, &key, r#"{"SecretId":"app/db"}"#).await?;
    assert!(current.contains("newer"));
    let (_, previous) = secret(&cloud, &key, r#"{"SecretId":"app/db","VersionStage":"AWSPREVIOUS"}"#).await?;
    assert!(previous.contains("one's value"));
    let (_, pending) = secret(&cloud, &key, r#"{"SecretId":"app/db","VersionStage":"AWSPENDING"}"#).await?;
    assert_eq!(code(&pending), "ResourceNotFoundException");
    assert!(lock(&cloud.vault).rotate("app/none", "x").is_none());
    Ok(())
}

#[tokio::test]
async fn the_ledger_names_the_caller_and_the_refusal_but_no_secret() -> Result<(), Failed> {
    let cloud = cloud()?;
    let key = assumed(&cloud, "").await?;
    secret(&cloud, &key, r#"{"SecretId":"app/other"}"#).await?;
    secret(&cloud, &key, r#"{"SecretId":"app/db"}"#).await?;
    let calls = lock(&cloud.ledger).calls();
    let shown = format!("{calls:?}{}", serde_json::to_string(&calls)?);
    let outcomes: Vec<_> = calls.iter().map(|call| (call.action.as_str(), call.outcome)).collect();
    let refused = Outcome::Refused("AccessDeniedException");
    assert_eq!(
        outcomes,
        [("AssumeRole", Outcome::Served), ("GetSecretValue", refused), ("GetSecretValue", Outcome::Served)]
    );
    for hidden in [
        key.secret_access_key(),
        key.session_token().unwrap_or_default(),
        key.access_key_id(),
        "value",
        "broker-secret",
    ] {
        assert!(!shown.contains(hidden));
    }
    Ok(())
}

#[tokio::test]
async fn broken_requests_get_the_services_own_error_shape() -> Result<(), Failed> {
    let cloud = cloud()?;
    let target = Some("secretsmanager.GetSecretValue");
    for (target, body, expected) in [
        (target, "", "SerializationException"),
        (target, "[]", "SerializationException"),
        (target, r#"{"SecretId":7}"#, "SerializationException"),
        (target, "{}", "ValidationException"),
        (Some("AmazonSSM.GetParameter"), "{}", "UnknownOperationException"),
        (None, "", "InvalidAction"),
        (None, "Version=2011-06-15&Action=%3C", "InvalidAction"),
    ] {
        let mut parts = parts(target)?;
        signed(&broker(), &mut parts, body, now())?;
        assert_eq!(code(&sent(&cloud, parts, body).await?.1), expected, "{body}");
    }
    let (status, _) = sent(&cloud, parts(None)?, &"x".repeat(BODY_LIMIT + 1)).await?;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}
