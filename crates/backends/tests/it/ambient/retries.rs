//! Retries of the ambient providers: the SDK makes their clients itself, which share retry quotas in a process.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use valetkey_backends::{AwsClientConfig, DefaultChainProvider, ProfileProvider};
use valetkey_core::{Clock, CredentialProvider, ErrorKind, SystemClock};

use super::profiles_fixture::{
    CONTAINER, ISSUED, PROFILES, WITH_INSTANCE, answer, failure, home_with_profiles,
};
use super::{run_with_home, settings_file};
use crate::http_fixture::{HttpFixture, PeerBehavior, SentRequest, assume_role_response, refused};
use crate::loopback_fixture::LoopbackFixture;
use crate::retry_quota::{ATTEMPTS, FETCHES, count_attempts};
use crate::{region, with_fast_retries};

fn down() -> HttpFixture {
    let (status, body) = failure();
    HttpFixture::responding(status, body)
}

/// Fails this number of requests in this way, and responds to all others.
fn failing(
    count: usize,
    response: impl Fn() -> Option<(u16, String)> + Send + Sync + 'static,
) -> HttpFixture {
    let requests = AtomicUsize::new(0);
    HttpFixture::with_reply(move |sent| match requests.fetch_add(1, Ordering::Relaxed) {
        request if request < count => response(),
        _ => Some(answer(sent)),
    })
}

async fn recovers(name: &str, provider: &impl CredentialProvider) {
    let keys = provider.provide().await.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(keys.access_key_id().as_str(), ISSUED, "{name}");
}

/// One provider uses up its quota; another of the same form, whose service fails twice, is left its retries.
async fn has_quota_of_its_own<P: CredentialProvider>(
    name: &str,
    requests: usize,
    provider: impl Fn(&AwsClientConfig) -> P,
) {
    let (http, other) = (down(), failing(ATTEMPTS - 1, || Some(failure())));
    let unlucky = provider(&http.client_config());
    let all = count_attempts(&http, &unlucky).await;
    for _ in 0..FETCHES {
        unlucky.provide().await.unwrap_err();
    }
    assert!(count_attempts(&http, &unlucky).await < all, "{name}: the quota is used up");
    recovers(name, &provider(&other.client_config())).await;
    assert_eq!(all, ATTEMPTS * requests, "{name}");
}

#[tokio::test(start_paused = true)]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_every_form_of_profile() {
    for (profile, requests) in PROFILES {
        has_quota_of_its_own(profile, requests, |base| ProfileProvider::new(profile).client_config(base))
            .await;
    }
    has_quota_of_its_own("container", 1, |base| DefaultChainProvider::new().client_config(base)).await;
}

#[test]
fn ambient_retry_quota_is_the_providers_own() {
    let test = "ambient::retries::child_process_with_every_form_of_profile";
    run_with_home(&home_with_profiles(), test, &[CONTAINER, WITH_INSTANCE]);
}

#[tokio::test(start_paused = true)]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_of_instance() {
    has_quota_of_its_own("instance", 1, |base| DefaultChainProvider::new().client_config(base)).await;
}

#[test]
fn ambient_retry_quota_of_instance_is_the_providers_own() {
    run_with_home(&home_with_profiles(), "ambient::retries::child_process_of_instance", &[WITH_INSTANCE]);
}

/// Over sockets: each profile has the STS of its own tenant.
#[tokio::test]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_two_servers() {
    let broken = LoopbackFixture::start(|_| failure()).await;
    let requests = AtomicUsize::new(1);
    let recovering = LoopbackFixture::start(move |_| match requests.fetch_add(1, Ordering::Relaxed) {
        ATTEMPTS => (200, assume_role_response(ISSUED, "s", "t")),
        _ => failure(),
    });
    let recovering = recovering.await;
    let mut settings = fs::read_to_string(settings_file()).unwrap();
    for (profile, server) in [("one", &broken), ("other", &recovering)] {
        let role = "role_arn = arn:aws:iam::222222222222:role/agent\nsource_profile = keys";
        settings.push_str(&format!("[profile {profile}]\n{role}\nendpoint_url = {}\n", server.url()));
    }
    fs::write(settings_file(), settings).unwrap();
    let base = with_fast_retries(&AwsClientConfig::new().region(&region("us-east-1")));
    let one = ProfileProvider::new("one").client_config(&base);
    for _ in 0..FETCHES {
        one.provide().await.unwrap_err();
    }
    let before = broken.requests();
    one.provide().await.unwrap_err();
    assert!(broken.requests() - before < ATTEMPTS, "the quota is used up");
    recovers("other", &ProfileProvider::new("other").client_config(&base)).await;
    assert_eq!(recovering.requests(), ATTEMPTS);
}

#[test]
fn ambient_tenant_recovers_while_another_tenant_fails() {
    run_with_home(&home_with_profiles(), "ambient::retries::child_process_with_two_servers", &[]);
}

fn role(http: &HttpFixture) -> ProfileProvider {
    ProfileProvider::new("role").client_config(&http.client_config())
}

#[tokio::test(start_paused = true)]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_failing_services() {
    for (name, response) in [
        ("no response", None),
        ("throttled", Some((400, refused("Throttling", "")))),
        ("too many requests", Some((429, String::new()))),
        ("no verification key", Some((400, refused("IDPCommunicationError", "")))),
        ("bad gateway", Some((502, "<html>".to_owned()))),
        ("unreadable", Some((200, "<html>".to_owned()))),
    ] {
        recovers(name, &role(&failing(1, move || response.clone()))).await;
    }
    for (name, answer, kind, requests) in [
        ("hung up", PeerBehavior::Disconnects, ErrorKind::Unavailable, ATTEMPTS),
        ("timed out", PeerBehavior::NeverResponds, ErrorKind::Unavailable, ATTEMPTS),
        ("denied", PeerBehavior::Responds(403, refused("AccessDenied", "")), ErrorKind::Denied, 1),
        ("forbidden", PeerBehavior::Responds(403, "<html>".to_owned()), ErrorKind::Unavailable, 1),
    ] {
        let http = HttpFixture::new(answer);
        let error = role(&http).provide().await.unwrap_err();
        assert_eq!((error.kind(), http.requests().len()), (kind, requests), "{name}: {error}");
    }
    let http = down();
    let once = http.client_config().config().to_builder().retry_config(RetryConfig::disabled()).build();
    let provider = ProfileProvider::new("role").client_config(&AwsClientConfig::from(once));
    assert_eq!(count_attempts(&http, &provider).await, 1, "the retries are those of the base");
    let provider = role(&http);
    for _ in 0..FETCHES {
        provider.provide().await.unwrap_err();
    }
    assert_eq!(count_attempts(&http, &provider).await, 1, "the quota is used up");
    assert_eq!(count_attempts(&http, &provider.clone()).await, ATTEMPTS, "a clone has its own");
}

#[test]
fn ambient_transient_failure_is_retried() {
    run_with_home(&home_with_profiles(), "ambient::retries::child_process_with_failing_services", &[]);
}

#[tokio::test(start_paused = true)]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_services_that_are_down() {
    for (profile, _) in PROFILES {
        for http in [down(), HttpFixture::new(PeerBehavior::Disconnects)] {
            let error = ProfileProvider::new(profile)
                .client_config(&http.client_config())
                .provide()
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{profile}: {error}");
        }
    }
    let unreachable = HttpFixture::new(PeerBehavior::Disconnects);
    let container = DefaultChainProvider::new().client_config(&unreachable.client_config());
    assert_eq!(container.provide().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(unreachable.requests().len(), ATTEMPTS);

    let refusing = HttpFixture::responding(401, r#"{"__type":"UnauthorizedException","message":"ended"}"#);
    let provider = ProfileProvider::new("sso").client_config(&refusing.client_config());
    let error = provider.provide().await.unwrap_err();
    assert_eq!((error.kind(), refusing.requests().len()), (ErrorKind::InteractionRequired, 1), "{error}");

    ProfileProvider::new("counted").client_config(&down().client_config()).provide().await.unwrap_err();
    let runs = fs::read_to_string(format!("{}/runs", std::env::var("HOME").unwrap())).unwrap();
    assert_eq!(runs, "run\n", "a program that fails is not run again");
}

/// An outage is no reason to sign in again.
#[test]
fn ambient_outage_is_transient_for_every_form() {
    let test = "ambient::retries::child_process_with_services_that_are_down";
    run_with_home(&home_with_profiles(), test, &[CONTAINER]);
}

/// What STS says by a clock that is wrong by an hour to requests that are signed by another.
fn by_clock(served: SystemTime) -> impl Fn(&SentRequest) -> Option<(u16, String)> {
    move |sent| {
        let signed = &sent.headers["x-amz-date"];
        let (date, time) = (&signed[..8], &signed[9..15]);
        let text = format!(
            "{}-{}-{}T{}:{}:{}Z",
            &date[..4],
            &date[4..6],
            &date[6..],
            &time[..2],
            &time[2..4],
            &time[4..]
        );
        let signed = SystemTime::try_from(DateTime::from_str(&text, Format::DateTime).unwrap()).unwrap();
        let apart = served.duration_since(signed).unwrap_or_else(|ahead| ahead.duration());
        Some(if apart < Duration::from_secs(300) {
            answer(sent)
        } else {
            (403, refused("SignatureDoesNotMatch", "Signature expired"))
        })
    }
}

#[tokio::test(start_paused = true)]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_wrong_clock() {
    let hour = Duration::from_secs(3600);
    for served in [SystemClock.now() + hour, SystemClock.now() - hour] {
        let http = HttpFixture::with_reply(by_clock(served)).at(served);
        recovers("wrong clock", &role(&http)).await;
        assert_eq!(http.requests().len(), 2);
    }
    let http = HttpFixture::responding(403, refused("AccessDenied", "")).at(SystemClock.now() + hour);
    let error = role(&http).provide().await.unwrap_err();
    assert_eq!((error.kind(), http.requests().len()), (ErrorKind::Denied, 2), "corrected once: {error}");
}

#[test]
fn ambient_wrong_clock_signs_by_aws_clock() {
    run_with_home(&home_with_profiles(), "ambient::retries::child_process_with_wrong_clock", &[]);
}

#[tokio::test(start_paused = true)]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_instance_endpoints() {
    for (profile, url) in [
        ("elsewhere", "http://127.0.0.1:7/latest/api/token"),
        ("six", "http://[fd00:ec2::254]/latest/api/token"),
        ("role-of-instance", "http://169.254.169.254/latest/api/token"),
    ] {
        let http = down();
        ProfileProvider::new(profile).client_config(&http.client_config()).provide().await.unwrap_err();
        assert_eq!(http.requests()[0].uri, url, "{profile}");
    }
    let http = down();
    let error =
        ProfileProvider::new("broken").client_config(&http.client_config()).provide().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("profile")), "{error}");
    assert!(http.requests().is_empty(), "no other endpoint is asked");
}

/// The settings of the profile that is fetched count, not those of the one that is active.
#[test]
fn ambient_instance_endpoint_is_the_profiles() {
    let home = home_with_profiles();
    let config = home.path().join(".aws/config");
    let mut settings = fs::read_to_string(&config).unwrap();
    for (profile, setting) in [
        ("elsewhere", "ec2_metadata_service_endpoint = http://127.0.0.1:7"),
        ("six", "ec2_metadata_service_endpoint_mode = IPv6"),
        ("broken", "ec2_metadata_service_endpoint_mode = IPv5"),
    ] {
        let source =
            "role_arn = arn:aws:iam::222222222222:role/agent\ncredential_source = Ec2InstanceMetadata";
        settings.push_str(&format!("[profile {profile}]\n{source}\n{setting}\n"));
    }
    fs::write(config, settings).unwrap();
    run_with_home(&home, "ambient::retries::child_process_with_instance_endpoints", &[WITH_INSTANCE]);
}
