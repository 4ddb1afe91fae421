//! Handles requests signed as by an SDK, without sockets.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::body::to_bytes;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};

use super::*;
use crate::{RoleSpec, SecretSpec, UserSpec};

const ROLE: &str = "arn:aws:iam::111111111111:role/agent";

const CHAINED_ROLE: &str = "arn:aws:iam::222222222222:role/next";

type TestError = Box<dyn std::error::Error>;

fn services() -> io::Result<Services> {
    let spec = LocalAwsBuilder::default()
        .user(UserSpec::new("999999999999", "broker", "AKIABROKER", "broker-secret"))
        .user(UserSpec::new("222222222222", "other", "AKIAOTHER", "other-secret"))
        .role(RoleSpec::new(ROLE).trusts("999999999999").external_id("right"))
        .role(RoleSpec::new(CHAINED_ROLE).trusts(ROLE).max_session_duration(Duration::from_secs(7200)))
        .secret(SecretSpec::new("111111111111", "app/db", "one's value"))
        .secret(SecretSpec::new("222222222222", "app/db", "two's value"))
        .secret(SecretSpec::new("222222222222", "app/other", "two's value"));
    Services::build(spec)
}

fn broker_credentials() -> Credentials {
    Credentials::new("AKIABROKER", "broker-secret", None, None, "test")
}

/// Signs a request as an SDK does, at the time `at`, which may be outdated.
fn sign_parts(key: &Credentials, parts: &mut Parts, body: &str, at: SystemTime) -> Result<(), TestError> {
    let service = AwsService::from_headers(&parts.headers).signing_name();
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

fn request_parts(target: Option<&str>) -> Result<Parts, TestError> {
    let mut request = Request::post("/").header("host", "localhost");
    request = match target {
        Some(target) => {
            request.header("x-amz-target", target).header("content-type", "application/x-amz-json-1.1")
        }
        None => request.header("content-type", "application/x-www-form-urlencoded"),
    };
    Ok(request.body(())?.into_parts().0)
}

async fn send(services: &Services, parts: Parts, body: &str) -> Result<(StatusCode, String), TestError> {
    let response = services.respond(Request::from_parts(parts, body.to_owned().into())).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), MAX_BODY_BYTES).await?;
    Ok((status, String::from_utf8(body.to_vec())?))
}

async fn send_sts_query(
    services: &Services,
    key: &Credentials,
    fields: &str,
) -> Result<(StatusCode, String), TestError> {
    let body = format!("Version=2011-06-15&{fields}");
    let mut parts = request_parts(None)?;
    sign_parts(key, &mut parts, &body, now())?;
    send(services, parts, &body).await
}

async fn get_secret_value(
    services: &Services,
    key: &Credentials,
    body: &str,
) -> Result<(StatusCode, String), TestError> {
    let mut parts = request_parts(Some("secretsmanager.GetSecretValue"))?;
    sign_parts(key, &mut parts, body, now())?;
    send(services, parts, body).await
}

async fn assume_role(services: &Services, more: &str) -> Result<Credentials, TestError> {
    let fields = format!("Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=s1&ExternalId=right{more}");
    let (status, answer) = send_sts_query(services, &broker_credentials(), &fields).await?;
    assert_eq!(status, StatusCode::OK, "{}", error_code(&answer));
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

fn error_code(answer: &str) -> String {
    let xml = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let json = answer.split_once("\"__type\":\"").and_then(|(_, rest)| rest.split_once('"'));
    xml.or(json).map_or("", |(code, _)| code).to_owned()
}

#[tokio::test]
async fn assumed_role_reads_only_secrets_of_its_account() -> Result<(), TestError> {
    let services = services()?;
    let key = assume_role(&services, "&SourceIdentity=alice").await?;
    let (_, who) = send_sts_query(&services, &key, "Action=GetCallerIdentity").await?;
    assert!(who.contains("<Arn>arn:aws:sts::111111111111:assumed-role/agent/s1</Arn>"), "{who}");
    let (_, own) = get_secret_value(&services, &key, r#"{"SecretId":"app/db"}"#).await?;
    assert!(own.contains("one's value"));
    let (status, foreign) = get_secret_value(&services, &key, r#"{"SecretId":"app/other"}"#).await?;
    assert_eq!((status, error_code(&foreign).as_str()), (StatusCode::BAD_REQUEST, "AccessDeniedException"));
    Ok(())
}

#[tokio::test]
async fn assume_role_without_trust_or_valid_length_fails() -> Result<(), TestError> {
    let services = services()?;
    let other = Credentials::new("AKIAOTHER", "other-secret", None, None, "test");
    let ask = |id: &str, more: &str| {
        format!("Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=s1&ExternalId={id}{more}")
    };
    for (key, fields, expected) in [
        (&broker_credentials(), ask("wrong", ""), "AccessDenied"),
        (&other, ask("right", ""), "AccessDenied"),
        (&broker_credentials(), ask("right", "&DurationSeconds=899"), "ValidationError"),
        (&broker_credentials(), ask("right", "&DurationSeconds=3601"), "ValidationError"),
        (&broker_credentials(), ask("right", "&Policy=x"), "MalformedPolicyDocument"),
        (&broker_credentials(), "Action=GetFederationToken".to_owned(), "InvalidAction"),
    ] {
        assert_eq!(error_code(&send_sts_query(&services, key, &fields).await?.1), expected, "{fields}");
    }
    Ok(())
}

#[tokio::test]
async fn chained_session_inherits_identity_and_tags() -> Result<(), TestError> {
    let services = services()?;
    let tags = "&Tags.member.1.Key=tenant&Tags.member.1.Value=one&TransitiveTagKeys.member.1=tenant";
    let key = assume_role(&services, &format!("&SourceIdentity=alice{tags}")).await?;
    let ask = |more: &str| format!("Action=AssumeRole&RoleArn={CHAINED_ROLE}&RoleSessionName=s2{more}");
    let (status, served) = send_sts_query(&services, &key, &ask("")).await?;
    assert_eq!(status, StatusCode::OK);
    assert!(served.contains("<SourceIdentity>alice</SourceIdentity>"));
    for (more, expected) in [
        ("&SourceIdentity=mallory", "AccessDenied"),
        ("&Tags.member.1.Key=Tenant&Tags.member.1.Value=two", "ValidationError"),
        ("&DurationSeconds=3601", "ValidationError"),
    ] {
        assert_eq!(error_code(&send_sts_query(&services, &key, &ask(more)).await?.1), expected, "{more}");
    }
    assert_eq!(
        error_code(&send_sts_query(&services, &broker_credentials(), &ask("")).await?.1),
        "AccessDenied"
    );
    Ok(())
}

#[tokio::test]
async fn session_policy_without_allow_denies() -> Result<(), TestError> {
    let services = services()?;
    let policy = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";
    let key = assume_role(&services, &format!("&Policy={policy}")).await?;
    let (_, refused) = get_secret_value(&services, &key, r#"{"SecretId":"app/db"}"#).await?;
    assert_eq!(error_code(&refused), "AccessDeniedException");
    assert_eq!(send_sts_query(&services, &key, "Action=GetCallerIdentity").await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn authenticate_expired_unknown_or_forged_key_fails() -> Result<(), TestError> {
    let services = services()?;
    let key = assume_role(&services, "").await?;
    let forged = Credentials::new(
        key.access_key_id(),
        "not the secret",
        key.session_token().map(str::to_owned),
        None,
        "test",
    );
    let bare = Credentials::new(key.access_key_id(), key.secret_access_key(), None, None, "test");
    let unknown = Credentials::new("AKIAUNKNOWN", "x", None, None, "test");
    let with_token = Credentials::new("AKIABROKER", "broker-secret", Some("t".into()), None, "test");
    let who = "Action=GetCallerIdentity";
    assert_eq!(error_code(&send_sts_query(&services, &forged, who).await?.1), "SignatureDoesNotMatch");
    for key in [&bare, &unknown, &with_token] {
        let (status, answer) = send_sts_query(&services, key, who).await?;
        assert_eq!((status, error_code(&answer).as_str()), (StatusCode::FORBIDDEN, "InvalidClientTokenId"));
    }
    services.advance_expiry(Duration::from_secs(3600));
    assert_eq!(error_code(&send_sts_query(&services, &key, who).await?.1), "ExpiredToken");
    assert_eq!(
        error_code(&get_secret_value(&services, &key, r#"{"SecretId":"app/db"}"#).await?.1),
        "ExpiredTokenException"
    );
    assert_eq!(send_sts_query(&services, &broker_credentials(), who).await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn authenticate_changed_or_late_request_fails() -> Result<(), TestError> {
    let services = services()?;
    let body = "Version=2011-06-15&Action=GetCallerIdentity";
    let mut changed = request_parts(None)?;
    sign_parts(&broker_credentials(), &mut changed, body, now())?;
    changed.uri = "/?Action=x".parse()?;
    assert_eq!(error_code(&send(&services, changed.clone(), body).await?.1), "SignatureDoesNotMatch");
    changed.uri = "/".parse()?;
    assert_eq!(
        error_code(&send(&services, changed.clone(), &format!("{body}&x=y")).await?.1),
        "SignatureDoesNotMatch"
    );
    changed.headers.insert("x-amz-unsigned", HeaderValue::from_static("x"));
    assert_eq!(error_code(&send(&services, changed, body).await?.1), "SignatureDoesNotMatch");
    let mut late = request_parts(None)?;
    sign_parts(&broker_credentials(), &mut late, body, now() - Duration::from_secs(16 * 60))?;
    assert_eq!(error_code(&send(&services, late, body).await?.1), "SignatureDoesNotMatch");
    assert_eq!(
        error_code(&send(&services, request_parts(None)?, body).await?.1),
        "MissingAuthenticationToken"
    );
    Ok(())
}

#[tokio::test]
async fn rotate_secret_moves_version_stages() -> Result<(), TestError> {
    let services = services()?;
    let key = assume_role(&services, "").await?;
    assert!(services.rotate_secret("app/db", "whose?").is_none());
    let arn = services.secret_arn("111111111111", "app/db").ok_or("no such secret")?;
    assert!(services.rotate_secret(&arn, "newer").is_some());
    let (_, current) = get_secret_value(&services, &key, r#"{"SecretId":"app/db"}"#).await?;
    assert!(current.contains("newer"));
    let (_, previous) =
        get_secret_value(&services, &key, r#"{"SecretId":"app/db","VersionStage":"AWSPREVIOUS"}"#).await?;
    assert!(previous.contains("one's value"));
    let (_, pending) =
        get_secret_value(&services, &key, r#"{"SecretId":"app/db","VersionStage":"AWSPENDING"}"#).await?;
    assert_eq!(error_code(&pending), "ResourceNotFoundException");
    assert!(services.rotate_secret("app/none", "x").is_none());
    Ok(())
}

#[tokio::test]
async fn request_log_records_caller_and_error_without_secrets() -> Result<(), TestError> {
    let services = services()?;
    let key = assume_role(&services, "").await?;
    get_secret_value(&services, &key, r#"{"SecretId":"app/other"}"#).await?;
    get_secret_value(&services, &key, r#"{"SecretId":"app/db"}"#).await?;
    let records = services.requests();
    let shown = format!("{records:?}{}", serde_json::to_string(&records)?);
    let outcomes: Vec<_> = records.iter().map(|record| (record.action.as_str(), record.outcome)).collect();
    let refused = RequestOutcome::Refused("AccessDeniedException");
    assert_eq!(
        outcomes,
        [
            ("AssumeRole", RequestOutcome::Served),
            ("GetSecretValue", refused),
            ("GetSecretValue", RequestOutcome::Served)
        ]
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
async fn malformed_request_returns_service_error_format() -> Result<(), TestError> {
    let services = services()?;
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
        let mut parts = request_parts(target)?;
        sign_parts(&broker_credentials(), &mut parts, body, now())?;
        assert_eq!(error_code(&send(&services, parts, body).await?.1), expected, "{body}");
    }
    let (status, _) = send(&services, request_parts(None)?, &"x".repeat(MAX_BODY_BYTES + 1)).await?;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}
