//! `MemoryProvider`: clones share one value.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::MemoryProvider;
use valetkey_core::testing::{Canary, ManualClock};
use valetkey_core::{Clock, CredentialProvider, ErrorKind, Expiry, SessionContext};

use crate::long_lived;

const OTHER_KEY_ID: &str = "AKIAI44QH8DHBEXAMPLE";

#[tokio::test]
async fn memory_empty_is_not_configured() {
    let error = MemoryProvider::new().provide().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::NotConfigured, Some("memory")));
}

#[tokio::test]
async fn memory_clones_share_set_replace_and_clear() {
    let (writer, reader) = {
        let cell = MemoryProvider::new();
        (cell.clone(), cell)
    };
    writer.set(long_lived(crate::KEY_ID));
    assert_eq!(reader.provide().await.unwrap().access_key_id().as_str(), crate::KEY_ID);
    let before = writer.replace(long_lived(OTHER_KEY_ID)).unwrap();
    assert_eq!(before.access_key_id().as_str(), crate::KEY_ID);
    assert_eq!(reader.provide().await.unwrap().access_key_id().as_str(), OTHER_KEY_ID);
    writer.clear();
    assert_eq!(reader.provide().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert!(writer.replace(long_lived(OTHER_KEY_ID)).is_none());
}

#[tokio::test]
async fn memory_shared_by_sessions_updates_on_refresh() {
    let cell = MemoryProvider::from(long_lived(crate::KEY_ID));
    let sessions = [(); 2].map(|()| SessionContext::builder().provider(cell.clone()).build());
    cell.set(long_lived(OTHER_KEY_ID));
    for session in &sessions {
        session.refresh().await.unwrap();
        assert_eq!(session.credentials().await.unwrap().access_key_id().as_str(), OTHER_KEY_ID);
    }
}

#[tokio::test]
async fn memory_expired_credentials_are_expired() {
    let clock = ManualClock::new();
    let cell = MemoryProvider::new().clock(Arc::new(clock.clone()));
    cell.set(Canary::new().credentials(Expiry::At(clock.now() + Duration::from_secs(60))).unwrap());
    assert!(cell.provide().await.is_ok());
    clock.advance(Duration::from_secs(60));
    assert_eq!(cell.provide().await.unwrap_err().kind(), ErrorKind::Expired);
}
