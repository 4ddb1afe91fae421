//! `StsCallerIdentityProvider`: its request, and how it parses the response.

use valetkey_backends::{AwsClientConfig, StsCallerIdentityProvider};
use valetkey_core::testing::Canary;
use valetkey_core::{CallerIdentityProvider, ErrorKind, Expiry};

use crate::http_fixture::{HttpFixture, PeerBehavior, refused};
use crate::{KEY_ID, long_lived, region};

fn caller_identity_response(account: &str, arn: &str) -> String {
    format!(
        r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
        <Arn>{arn}</Arn><UserId>AROAEXAMPLE:valetkey-7</UserId><Account>{account}</Account>
        </GetCallerIdentityResult></GetCallerIdentityResponse>"#
    )
}

const ARN: &str = "arn:aws:sts::222222222222:assumed-role/agent/valetkey-7";

#[tokio::test]
async fn caller_identity_call_signs_with_given_credentials() {
    let http = HttpFixture::responding(200, caller_identity_response("222222222222", ARN));
    let caller = StsCallerIdentityProvider::new(&http.client_config())
        .caller_identity(&long_lived(KEY_ID))
        .await
        .unwrap();
    assert_eq!((caller.account().as_str(), caller.arn()), ("222222222222", ARN));
    assert_eq!((caller.user_id(), caller.session_name()), ("AROAEXAMPLE:valetkey-7", Some("valetkey-7")));
    let sent = &http.requests()[0];
    assert_eq!(sent.form()["Action"], "GetCallerIdentity");
    assert!(sent.headers["authorization"].contains(&format!("Credential={KEY_ID}/")));
}

#[tokio::test]
async fn caller_identity_credentials_region_selects_endpoint() {
    let http = HttpFixture::responding(200, caller_identity_response("222222222222", ARN));
    let lookup = StsCallerIdentityProvider::new(&http.client_config());
    lookup.caller_identity(&long_lived(KEY_ID)).await.unwrap();
    lookup.caller_identity(&long_lived(KEY_ID).with_region(region("cn-north-1"))).await.unwrap();
    let uris: Vec<_> = http.requests().into_iter().map(|sent| sent.uri).collect();
    assert_eq!(uris, ["https://sts.us-east-1.amazonaws.com/", "https://sts.cn-north-1.amazonaws.com.cn/"]);
    let error = StsCallerIdentityProvider::new(&AwsClientConfig::new())
        .caller_identity(&long_lived(KEY_ID))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("region")));
}

#[tokio::test]
async fn caller_identity_errors_have_kind_and_no_secret() {
    let canary = Canary::new();
    let set = canary.credentials(Expiry::Never).unwrap();
    let echo = set.expose_secret_access_key();
    for (http, kind) in [
        (HttpFixture::responding(403, refused("ExpiredToken", echo)), ErrorKind::Expired),
        (HttpFixture::responding(403, refused("InvalidClientTokenId", echo)), ErrorKind::Denied),
        (HttpFixture::responding(400, refused("Throttling", echo)), ErrorKind::Throttled),
        (HttpFixture::responding(503, echo), ErrorKind::Unavailable),
        (
            HttpFixture::responding(200, caller_identity_response("not-an-account", echo)),
            ErrorKind::Unavailable,
        ),
        (HttpFixture::new(PeerBehavior::Disconnects), ErrorKind::Unavailable),
        (HttpFixture::new(PeerBehavior::NeverResponds), ErrorKind::TimedOut),
    ] {
        let error =
            StsCallerIdentityProvider::new(&http.client_config()).caller_identity(&set).await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (kind, Some("caller-identity")), "{error}");
        assert!(canary.found_in(&format!("{error} {error:?}")).is_empty(), "{error:?}");
    }
}
