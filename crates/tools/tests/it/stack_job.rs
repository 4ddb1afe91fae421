//! Setting the session's credentials from a stack job.

use serde_json::{Value, json};
use valetkey_core::testing::Canary;
use valetkey_core::{Expiry, MapResolver, Region, SessionContext};
use valetkey_tools::ToolSet;

use crate::fixture::*;

fn job(region: Value) -> Value {
    json!({
        "metadata": {"id": "sj-1"},
        "spec": {
            "provider_credential_id": CREDENTIAL_ID,
            "target": {"kind": "AwsEcsService", "spec": {"aws_account_region": region}},
        },
        "status": {"progress": []},
    })
}

#[tokio::test]
async fn stack_job_sets_named_credentials() {
    let fixture = ToolsFixture::new();
    let output = fixture.call(SET_FROM_STACK_JOB, json!({"stack_job_json": job("us-west-2".into())})).await;
    assert!(!output.is_error, "{}", output.text);
    let last_four = fixture.credentials().await.access_key_id().last_four().to_owned();
    let prefix = "Successfully extracted and set AWS credentials: aws-prod-123 in region us-west-2, access key ending in";
    assert_eq!(output.text, format!("{prefix} {last_four}"));
    let status = output.structured.unwrap();
    assert_eq!(status["provider_credential_id"], CREDENTIAL_ID);
    assert_eq!(status["key_suffix"], last_four);
    assert_eq!(fixture.credentials().await.expose_secret_access_key(), fixture.canary.expose_secret());
}

#[tokio::test]
async fn stack_job_as_text_is_accepted() {
    let fixture = ToolsFixture::new();
    let output = fixture
        .call(SET_FROM_STACK_JOB, json!({"stack_job_json": job("us-west-2".into()).to_string()}))
        .await;
    assert!(!output.is_error, "{}", output.text);
}

#[tokio::test]
async fn stack_job_without_region_uses_resolved_region() {
    let region = |text: &str| Region::parse("region", text).unwrap();
    let own = region("eu-central-1");
    for (job_region, own_region, session_region, expected) in [
        (json!("us-west-2"), Some(own.clone()), None, "us-west-2"),
        (json!(null), Some(own.clone()), None, "eu-central-1"),
        (json!(" "), Some(own), Some("eu-west-1"), "eu-central-1"),
        (json!(""), None, Some("eu-west-1"), "eu-west-1"),
        (json!(null), None, None, "us-east-1"),
    ] {
        let mut credentials = Canary::new().credentials(Expiry::Never).unwrap();
        if let Some(region) = own_region {
            credentials = credentials.with_region(region);
        }
        let resolver = MapResolver::new().with(CREDENTIAL_ID.parse().unwrap(), credentials);
        let builder = SessionContext::builder().resolver(resolver);
        let session =
            session_region.into_iter().fold(builder, |builder, text| builder.region(region(text))).build();
        let tools = ToolSet::for_session(session.clone());
        let output =
            tools.call(SET_FROM_STACK_JOB, json!({"stack_job_json": job(job_region)})).await.unwrap();
        assert!(output.text.contains(&format!("in region {expected}")), "{}", output.text);
        assert_eq!(session.resolved_region().as_str(), expected);
    }
}

#[tokio::test]
async fn stack_job_without_target_is_accepted() {
    let fixture = ToolsFixture::new();
    for target in [json!(null), json!({}), json!({"spec": null}), json!({"spec": {}})] {
        let job = json!({"spec": {"provider_credential_id": CREDENTIAL_ID, "target": target}});
        assert!(!fixture.call(SET_FROM_STACK_JOB, json!({"stack_job_json": job})).await.is_error);
    }
}

#[tokio::test]
async fn stack_job_unknown_id_is_denied_and_changes_nothing() {
    let fixture = ToolsFixture::with_credentials().await;
    let before = fixture.credentials().await;
    let job = json!({"spec": {"provider_credential_id": "of-another-tenant"}});
    let output = fixture.call(SET_FROM_STACK_JOB, json!({"stack_job_json": job})).await;
    let fault = error_json(&output);
    assert_eq!(fault["code"], "denied");
    assert_eq!(fault["transient"], false);
    assert!(fault["next_step"].is_string());
    assert!(!output.text.contains("of-another-tenant"));
    assert_eq!(fixture.credentials().await.access_key_id(), before.access_key_id());
}

#[tokio::test]
async fn stack_job_without_resolver_is_not_configured() {
    let tools = ToolSet::for_session(SessionContext::builder().build());
    let output = tools.call(SET_FROM_STACK_JOB, json!({"stack_job_json": job(json!(null))})).await.unwrap();
    assert_eq!(error_json(&output)["code"], "not_configured");
    assert!(output.text.contains("resolver"), "{}", output.text);
}

#[tokio::test]
async fn stack_job_platform_formats_are_accepted() {
    let essentials = json!({"spec": {"essentials": {"provider_credential_info": {"id": CREDENTIAL_ID}}}});
    let camel = json!({"spec": {
        "providerCredentialId": CREDENTIAL_ID, "target": {"spec": {"awsAccountRegion": "eu-west-1"}},
    }});
    let camel_essentials = json!({"spec": {"essentials": {"providerCredentialInfo": {"id": CREDENTIAL_ID}}}});
    for (job, region) in [(essentials, "us-east-1"), (camel, "eu-west-1"), (camel_essentials, "us-east-1")] {
        let output = ToolsFixture::new().call(SET_FROM_STACK_JOB, json!({"stack_job_json": job})).await;
        assert!(output.text.contains(&format!("{CREDENTIAL_ID} in region {region}")), "{}", output.text);
    }
    let wrong = json!({"spec": {"essentials": {"provider_credential_info": "hunter2"}}});
    let output = ToolsFixture::new().call(SET_FROM_STACK_JOB, json!({"stack_job_json": wrong})).await;
    assert_eq!(error_json(&output)["field"], "spec.essentials.provider_credential_info");
    assert!(!output.text.contains("hunter2"));
}
