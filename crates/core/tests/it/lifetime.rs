//! How a session ends: by its last handle, by `close`, by `scope`.

use std::sync::mpsc;

use valetkey_core::{AccountName, ErrorKind, Expiry, SessionContext};

use crate::session_fixture::*;

#[tokio::test]
async fn session_last_handle_dropped_closes_it() {
    let session = SessionContext::builder().build();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let lent = session.account(&AccountName::default_account()).unwrap();
    let other = session.clone();
    drop(session);
    assert_eq!(number(&lent.credentials().await.unwrap()), 1, "one handle is left");
    drop(other);
    assert_eq!(lent.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(lent.current().is_none() && lent.session_id().is_none() && lent.region().is_none());
    assert_eq!(lent.status().unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn session_last_handle_dropped_ends_fetch() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let lent = fixture.session.account(&AccountName::default_account()).unwrap();
    let task = tokio::spawn(async move { lent.credentials().await });
    settle().await;
    drop(fixture.session);
    assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn scope_closes_session_on_return() {
    let kept = SessionContext::scope(SessionContext::builder(), async |session: SessionContext| {
        session.set_credentials(numbered(1, Expiry::Never)).unwrap();
        assert_eq!(number(&session.credentials().await.unwrap()), 1);
        session
    })
    .await;
    assert_eq!(kept.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn scope_closes_session_on_panic() {
    let (sender, receiver) = mpsc::channel();
    let task = tokio::spawn(async move {
        SessionContext::scope(SessionContext::builder(), async |session: SessionContext| {
            sender.send(session).unwrap();
            tokio::task::yield_now().await;
            panic!("the work failed")
        })
        .await
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(receiver.recv().unwrap().is_closed());
}

#[tokio::test]
async fn scope_closes_session_on_cancel() {
    let (sender, receiver) = mpsc::channel();
    let task = tokio::spawn(async move {
        SessionContext::scope(SessionContext::builder(), async |session: SessionContext| {
            sender.send(session).unwrap();
            std::future::pending::<()>().await;
        })
        .await;
    });
    settle().await;
    let session = receiver.recv().unwrap();
    assert!(!session.is_closed());
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(session.is_closed());
}

#[tokio::test]
async fn scope_concurrent_sessions_are_isolated() {
    let work = |n: u64| {
        SessionContext::scope(SessionContext::builder(), async move |session: SessionContext| {
            session.set_credentials(numbered(n, Expiry::Never)).unwrap();
            for _ in 0..100 {
                tokio::task::yield_now().await;
                assert_eq!(number(&session.credentials().await.unwrap()), n);
            }
        })
    };
    tokio::join!(work(1), work(2));
}
