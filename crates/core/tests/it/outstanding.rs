//! Until when AWS accepts the credentials that a session has held: never reported too early.

use std::sync::Arc;
use std::time::Duration;

use valetkey_core::audit::{AuditEvent, InMemoryAudit};
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{AccessScope, AccountName, Clock, Expiry, OutstandingCredentials, SessionContext};

use crate::session_fixture::*;

fn account_name(name: &str) -> AccountName {
    name.parse().unwrap()
}

/// By account, how long its credentials remain valid.
fn remaining_by_account(
    fixture: &SessionFixture,
    outstanding: &OutstandingCredentials,
) -> Vec<(String, Option<Duration>)> {
    let now = fixture.clock.now();
    let accounts = outstanding.accounts.iter();
    accounts.map(|account| (account.account.to_string(), account.expires_at.remaining(now))).collect()
}

fn default_account_remaining(left: Duration) -> Vec<(String, Option<Duration>)> {
    vec![("default".to_owned(), Some(left))]
}

#[tokio::test]
async fn outstanding_without_credentials_is_empty() {
    let fixture = SessionFixture::new(|_| vec![fails_denied()]);
    fixture.number().await.unwrap_err();
    let outstanding = fixture.session.close();
    assert!(outstanding.is_empty() && outstanding.expires_at().is_none());
    assert_eq!(outstanding.session, fixture.session.id());
}

#[tokio::test]
async fn outstanding_includes_rotated_until_expiry() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, MINUTE)]).await;
    fixture.session.refresh().await.unwrap();
    assert_eq!(fixture.number().await.unwrap(), 2);
    assert_eq!(
        remaining_by_account(&fixture, &fixture.session.outstanding()),
        default_account_remaining(HOUR),
        "the expiry of the first credentials"
    );
    fixture.clock.advance(HOUR - SECOND);
    assert_eq!(remaining_by_account(&fixture, &fixture.session.close()), default_account_remaining(SECOND));
    fixture.clock.advance(SECOND);
    assert!(fixture.session.close().is_empty());
}

#[tokio::test]
async fn outstanding_is_returned_by_clear_and_close() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_denied()]).await;
    assert_eq!(remaining_by_account(&fixture, &fixture.session.clear()), default_account_remaining(HOUR));
    fixture.session.set_credentials(expiring(&fixture.clock, 2, MINUTE)).unwrap();
    let closed = fixture.session.close();
    assert_eq!(
        remaining_by_account(&fixture, &closed),
        default_account_remaining(HOUR),
        "cleared credentials remain valid as well"
    );
    assert_eq!(closed, fixture.session.close());
}

#[tokio::test]
async fn outstanding_long_lived_keys_never_expire() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_denied()]).await;
    fixture.session.for_account(&account_name("keys")).set_credentials(numbered(7, Expiry::Never)).unwrap();
    let outstanding = fixture.session.close();
    assert_eq!(outstanding.expires_at(), Some(Expiry::Never));
    let wanted = [("default".to_owned(), Some(HOUR)), ("keys".to_owned(), None)];
    assert_eq!(remaining_by_account(&fixture, &outstanding), wanted);
}

#[tokio::test]
async fn outstanding_of_parent_includes_dropped_children() {
    let fixture = SessionFixture::with_cached(MINUTE, |_| vec![fails_denied()]).await;
    let child = fixture.session.with_credentials(expiring(&fixture.clock, 2, HOUR)).unwrap();
    child.for_account(&account_name("own")).set_credentials(expiring(&fixture.clock, 3, 2 * HOUR)).unwrap();
    let grandchild = child.with_credentials(expiring(&fixture.clock, 4, 3 * HOUR)).unwrap();
    let wanted = [("default".to_owned(), Some(3 * HOUR)), ("own".to_owned(), Some(2 * HOUR))];
    assert_eq!(remaining_by_account(&fixture, &child.outstanding()), wanted);
    assert_eq!(
        remaining_by_account(&fixture, &fixture.session.outstanding()),
        default_account_remaining(3 * HOUR),
        "while the children are open"
    );
    drop(grandchild);
    drop(child);
    assert_eq!(remaining_by_account(&fixture, &fixture.session.close()), default_account_remaining(3 * HOUR));
}

#[tokio::test]
async fn outstanding_of_close_includes_open_children() {
    let fixture = SessionFixture::with_cached(MINUTE, |_| vec![fails_denied()]).await;
    let _child = fixture.session.with_credentials(expiring(&fixture.clock, 2, HOUR)).unwrap();
    assert_eq!(remaining_by_account(&fixture, &fixture.session.close()), default_account_remaining(HOUR));
}

#[tokio::test]
async fn outstanding_of_view_reports_expiry_beyond_deadline() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 1, HOUR)]).await;
    fixture
        .session
        .for_account(&account_name("other"))
        .set_credentials(expiring(&fixture.clock, 2, 2 * HOUR))
        .unwrap();
    let scope = AccessScope::new().accounts([account_name("default")]).lifetime(MINUTE);
    let view = fixture.session.narrow(scope).unwrap();
    assert_eq!(view.credentials().await.unwrap().expiry(), Expiry::At(fixture.clock.now() + MINUTE));
    assert_eq!(
        remaining_by_account(&fixture, &view.close()),
        default_account_remaining(HOUR),
        "AWS does not know of the view's deadline"
    );
    assert_eq!(fixture.session.outstanding().accounts.len(), 2);
}

#[tokio::test]
async fn outstanding_is_audited_on_clear_and_close() {
    let (clock, audit) = (valetkey_core::testing::ManualClock::new(), Arc::new(InMemoryAudit::default()));
    let provider = ScriptedProvider::new([Script::Answer(expiring(&clock, 1, HOUR))]);
    let session: SessionContext = builder(&clock).audit(audit.clone()).provider(provider).build();
    session.credentials().await.unwrap();
    session.clear();
    drop(session);
    let ends: Vec<_> = audit
        .records()
        .into_iter()
        .filter(|record| matches!(record.event, AuditEvent::Clear | AuditEvent::Close))
        .map(|record| record.expires_at)
        .collect();
    assert_eq!(ends, [Some(Expiry::At(clock.now() + HOUR)); 2]);
}

#[tokio::test]
async fn outstanding_of_clear_includes_open_children() {
    let fixture = SessionFixture::with_cached(MINUTE, |_| vec![fails_denied()]).await;
    let child = fixture.session.with_credentials(expiring(&fixture.clock, 2, HOUR)).unwrap();
    let _grandchild = child.with_credentials(expiring(&fixture.clock, 3, 2 * HOUR)).unwrap();
    assert_eq!(remaining_by_account(&fixture, &fixture.session.clear()), default_account_remaining(2 * HOUR));
}

#[tokio::test]
async fn outstanding_of_child_includes_inherited_before_override() {
    let fixture = SessionFixture::with_cached(3 * HOUR, |_| vec![fails_denied()]).await;
    let shared = account_name("shared");
    fixture.session.for_account(&shared).set_credentials(expiring(&fixture.clock, 2, 2 * HOUR)).unwrap();
    let child = fixture.session.with_credentials(expiring(&fixture.clock, 3, HOUR)).unwrap();
    assert_eq!(number(&child.for_account(&shared).credentials().await.unwrap()), 2);
    child.for_account(&shared).set_credentials(expiring(&fixture.clock, 4, HOUR)).unwrap();
    let wanted = [("default".to_owned(), Some(HOUR)), ("shared".to_owned(), Some(2 * HOUR))];
    assert_eq!(
        remaining_by_account(&fixture, &child.close()),
        wanted,
        "the default account was its own from the start"
    );
}

#[tokio::test]
async fn outstanding_audited_on_close_includes_children() {
    let (clock, audit) = (valetkey_core::testing::ManualClock::new(), Arc::new(InMemoryAudit::default()));
    let session = builder(&clock).audit(audit.clone()).build();
    let _child = session.with_credentials(expiring(&clock, 1, HOUR)).unwrap();
    session.close();
    let records = audit.records();
    let mut ends = records.iter().filter(|record| record.event == AuditEvent::Close);
    let ended = ends.find(|record| record.session == session.id()).unwrap();
    assert_eq!(ended.expires_at, Some(Expiry::At(clock.now() + HOUR)));
}
