//! A secret as the provider of a session: its version is checked after the TTL or on demand, and its rotation is a
//! rotation of the session.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::SecretsManagerProvider;
use valetkey_core::testing::ManualClock;
use valetkey_core::{ErrorKind, SessionContext};

use super::fixture::SecretsManagerFixture;
use crate::{region, static_source};

const SECOND: Duration = Duration::from_secs(1);

struct SecretSessionFixture {
    service: SecretsManagerFixture,
    clock: ManualClock,
    session: SessionContext,
}

impl SecretSessionFixture {
    /// A session that checks the secret after `ttl`, which is what the provider is given or has by itself.
    async fn with_ttl(ttl: Option<Duration>) -> Self {
        let (service, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
        let builder =
            SecretsManagerProvider::builder("agent", static_source()).client_config(&service.client_config());
        let builder = ttl.into_iter().fold(builder, |builder, ttl| builder.ttl(ttl));
        let provider = builder.clock(Arc::new(clock.clone())).build().unwrap();
        let session = SessionContext::builder().clock(Arc::new(clock.clone())).provider(provider).build();
        let fixture = Self { service, clock, session };
        assert_eq!(fixture.served_secret().await, "hunter2-1");
        assert_eq!(fixture.service.take_calls(), "G");
        fixture
    }

    async fn served_secret(&self) -> String {
        self.session.credentials().await.unwrap().expose_secret_access_key().to_owned()
    }
}

#[tokio::test]
async fn secret_session_checks_after_ttl_not_before() {
    for (ttl, seconds) in [(None, 300), (Some(60 * SECOND), 60), (Some(3_600 * SECOND), 3_600)] {
        let fixture = SecretSessionFixture::with_ttl(ttl).await;
        // A session parts from others by up to a tenth.
        fixture.clock.advance((seconds * 9 / 10 - 1) * SECOND);
        fixture.served_secret().await;
        assert_eq!(fixture.service.take_calls(), "", "{ttl:?}");
        fixture.clock.advance((seconds / 10 + 1) * SECOND);
        fixture.served_secret().await;
        let expected = if seconds == 3_600 { "G" } else { "D" };
        assert_eq!(fixture.service.take_calls(), expected, "{ttl:?}");
    }
}

#[tokio::test]
async fn secret_session_zero_ttl_checks_each_use() {
    let fixture = SecretSessionFixture::with_ttl(Some(Duration::ZERO)).await;
    for _ in 0..3 {
        fixture.served_secret().await;
    }
    assert_eq!(fixture.service.take_calls(), "DDD");
}

#[test]
fn secret_ttl_limit_one_hour() {
    let ttl = |ttl| {
        SecretsManagerProvider::builder("a", static_source()).region(region("us-east-1")).ttl(ttl).build()
    };
    assert!(ttl(3_600 * SECOND).is_ok());
    let error = ttl(3_600 * SECOND + Duration::from_nanos(1)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("ttl")));
    assert!(error.message().contains("0 to 3600 s"), "{error}");
}

#[tokio::test]
async fn secret_session_rotation_is_announced_at_next_fetch() {
    let fixture = SecretSessionFixture::with_ttl(None).await;
    let mut rotations = fixture.session.watch_rotations().unwrap();
    fixture.service.rotate("agent", 2);
    assert_eq!(fixture.served_secret().await, "hunter2-1", "there was no request");
    fixture.clock.advance(300 * SECOND);
    assert_eq!(fixture.served_secret().await, "hunter2-2");
    assert_eq!(fixture.service.take_calls(), "DG");
    rotations.changed().await.unwrap();
}

#[tokio::test]
async fn secret_session_refresh_checks_version() {
    let fixture = SecretSessionFixture::with_ttl(None).await;
    fixture.service.rotate("agent", 2);
    fixture.session.refresh().await.unwrap();
    assert_eq!(
        (fixture.served_secret().await.as_str(), fixture.service.take_calls().as_str()),
        ("hunter2-2", "DG")
    );
}
