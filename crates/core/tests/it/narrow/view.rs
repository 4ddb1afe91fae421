//! Without a policy: a view of the parent, which shows what is there at once.

use futures_util::FutureExt;
use valetkey_core::{AccessScope, CredentialProvider, ErrorKind, Expiry, Region, SessionContext};

use super::role::NarrowableProvider;
use super::{account_name, account_number};
use crate::session_fixture::*;

/// Three accounts: `default` issues from 100 on, `prod` from 200, `dev` from 300.
fn session_with_three_accounts() -> SessionContext {
    SessionContext::builder()
        .provider(NarrowableProvider::new(100))
        .provider_for(account_name("prod"), NarrowableProvider::new(200))
        .provider_for(account_name("dev"), NarrowableProvider::new(300))
        .region_for(account_name("prod"), Region::us_east_1())
        .build()
}

fn narrow_to(session: &SessionContext, accounts: &[&str]) -> SessionContext {
    session.narrow(AccessScope::new().accounts(accounts.iter().map(|name| account_name(name)))).unwrap()
}

#[tokio::test]
async fn narrow_view_hides_other_accounts() {
    let session = session_with_three_accounts();
    let child = narrow_to(&session, &["dev", "prod", "dev"]);
    assert_eq!(child.accounts(), [account_name("dev"), account_name("prod")]);
    assert_eq!(
        child.default_account(),
        &account_name("dev"),
        "the first, as the session's own is not among them"
    );
    assert_eq!(number(&child.credentials().await.unwrap()), 300);
    assert_eq!(child.with_cached(number), Some(300));
    assert_eq!(child.cached().as_ref().map(number), Some(300));
    assert_eq!(number(&child.current().unwrap().credentials), 300);
    assert_eq!(account_number(&child, "prod").await.unwrap(), 200);
    assert_eq!(child.for_account(&account_name("prod")).region(), Some(Region::us_east_1()));
    let error = child.for_account(&account_name("default")).credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::NotConfigured, Some("account")));
    assert!(!error.to_string().contains("default"), "an account outside the view is not named: {error}");
    assert!(
        child.account(&account_name("default")).is_err()
            && child.for_account(&account_name("default")).watch_rotations().is_err()
    );
    assert!(child.for_account(&account_name("default")).refresh().await.is_err());
    let status = child.status();
    assert_eq!(status.accounts.len(), 2);
    assert!(status.accounts[0].default && status.accounts[0].account == account_name("dev"));
}

#[tokio::test]
async fn narrow_view_keeps_default_account_if_listed() {
    let child = narrow_to(&session_with_three_accounts(), &["prod"]);
    assert!(child.is_closed(), "its parent was dropped");
    let session = session_with_three_accounts();
    let child = narrow_to(&session, &["prod", "default"]);
    assert_eq!(child.accounts(), [account_name("default"), account_name("prod")]);
    assert_eq!(number(&child.credentials().await.unwrap()), 100);
}

#[tokio::test]
async fn narrow_view_follows_credentials_of_parent() {
    let session = session_with_three_accounts();
    let child = narrow_to(&session, &["default"]);
    let mut rotations = child.for_account(&account_name("default")).watch_rotations().unwrap();
    let account = child.account(&account_name("default")).unwrap();
    assert_eq!(account_number(&child, "default").await.unwrap(), 100);
    session.for_account(&account_name("default")).refresh().await.unwrap();
    assert_eq!(account_number(&child, "default").await.unwrap(), 101);
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert_eq!(
        number(&account.current().unwrap().credentials),
        1,
        "manually set credentials are served too, since the view has no policy"
    );
    assert_eq!(rotations.changed().await.unwrap(), session.status().accounts[0].generation);
    child.for_account(&account_name("default")).refresh().await.unwrap_err();
    assert_eq!(account_number(&session, "default").await.unwrap(), 1);
}

#[tokio::test]
async fn narrow_view_shows_later_accounts_unless_listed() {
    let session = session_with_three_accounts();
    let (all, some) = (session.narrow(AccessScope::new()).unwrap(), narrow_to(&session, &["prod"]));
    session.for_account(&account_name("late")).set_credentials(numbered(4, Expiry::Never)).unwrap();
    assert_eq!(account_number(&all, "late").await.unwrap(), 4);
    assert!(account_number(&some, "late").await.is_err());
    assert_eq!((all.accounts().len(), some.accounts().len()), (4, 1));
}

#[tokio::test]
async fn narrow_view_clear_closes_it_and_keeps_parent() {
    let session = session_with_three_accounts();
    let view = || session.narrow(AccessScope::new()).unwrap();
    let (one, other, third) = (view(), view(), view());
    account_number(&session, "default").await.unwrap();
    one.clear();
    other.close();
    drop(third);
    assert!(one.is_closed() && one.accounts().is_empty() && one.current().is_none());
    assert_eq!(account_number(&other, "default").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        account_number(&session, "default").now_or_never().unwrap().unwrap(),
        100,
        "the parent never noticed"
    );

    let last = view();
    let account = last.account(&account_name("default")).unwrap();
    session.clear();
    assert!(last.is_closed() && account.is_closed() && account.current().is_none());
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert_eq!(
        account_number(&last, "default").await.unwrap_err().kind(),
        ErrorKind::Closed,
        "nothing wakes it"
    );
    assert_eq!(account_number(&session, "default").await.unwrap(), 1);
}

#[tokio::test]
async fn narrow_view_ended_during_fetch_fails_it() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    for end in [SessionContext::close, SessionContext::clear] {
        let child = fixture.session.narrow(AccessScope::new()).unwrap();
        let account = child.account(&account_name("default")).unwrap();
        let mut callers: [std::pin::Pin<Box<dyn Future<Output = _> + Send>>; 3] = [
            Box::pin(child.credentials()),
            Box::pin(async { child.for_account(&account_name("default")).credentials().await }),
            Box::pin(account.credentials()),
        ];
        for caller in &mut callers {
            assert!(poll_once(caller).await.is_none());
        }
        end(&child);
        fixture.provider.release(1);
        for caller in callers {
            assert_eq!(caller.await.unwrap_err().kind(), ErrorKind::Closed);
        }
        assert_eq!(fixture.number().await.unwrap(), 1, "the parent has it");
        fixture
            .session
            .for_account(&account_name("default"))
            .mark_rejected(numbered(1, Expiry::Never).access_key_id());
    }
}
