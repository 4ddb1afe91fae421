//! Whom AWS takes an account for: asked once a set, told to nobody after the set is gone.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use valetkey_core::{CallerIdentity, CallerLookup, Credentials, Error, ErrorKind, Result, WhoAmI};

use crate::bench::*;

/// Knows set `n` as user `n`, once it is let; fails or panics for some.
#[derive(Debug)]
struct Sts {
    calls: AtomicUsize,
    gate: Semaphore,
    fails: Option<ErrorKind>,
}

impl Sts {
    fn gated() -> Arc<Self> {
        Arc::new(Self { calls: AtomicUsize::new(0), gate: Semaphore::new(0), fails: None })
    }

    fn open() -> Arc<Self> {
        let sts = Self::gated();
        sts.gate.add_permits(1_000);
        sts
    }

    fn failing(kind: ErrorKind) -> Arc<Self> {
        let gate = Semaphore::new(0);
        Arc::new(Self { calls: AtomicUsize::new(0), gate, fails: Some(kind) })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CallerLookup for Sts {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("sts")
    }

    async fn caller(&self, credentials: &Credentials) -> Result<CallerIdentity> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        match self.fails {
            Some(ErrorKind::Internal) => panic!("as told"),
            Some(kind) => Err(Error::new(kind, "no")),
            None => Ok(CallerIdentity::new(
                "111111111111".parse().unwrap(),
                format!("arn:aws:iam::111111111111:user/{}", number(credentials)),
                "AIDA",
            )),
        }
    }
}

fn whoami(bench: &Bench, sts: &Arc<Sts>) -> WhoAmI {
    WhoAmI::new(bench.session.account(bench.session.default_account()).unwrap(), sts.clone())
}

async fn user(whoami: &WhoAmI) -> u64 {
    let caller = whoami.caller().await.unwrap();
    caller.arn().rsplit_once('/').unwrap().1.parse().unwrap()
}

async fn kind(whoami: &WhoAmI) -> ErrorKind {
    whoami.caller().await.unwrap_err().kind()
}

#[tokio::test]
async fn a_thousand_who_ask_make_one_call_and_so_does_whoever_comes_later() {
    let (bench, sts) = (Bench::new(|clock| vec![answer(clock, 1, HOUR)]), Sts::gated());
    let whoami = whoami(&bench, &sts);
    let (users, ()) = tokio::join!(join_all((0..1_000).map(|_| user(&whoami))), async {
        settle().await;
        sts.gate.add_permits(1_000);
    });
    assert!(users.into_iter().all(|user| user == 1));
    assert_eq!(user(&whoami.clone()).await, 1, "a clone knows it too");
    assert_eq!((sts.calls(), bench.provider.calls()), (1, 1));
}

#[tokio::test]
async fn each_set_is_asked_about_anew_whether_renewed_or_set() {
    let bench = Bench::holding(HOUR, |clock| vec![answer(clock, 2, HOUR)]).await;
    let sts = Sts::open();
    let whoami = whoami(&bench, &sts);
    assert_eq!(user(&whoami).await, 1);
    bench.session.refresh(bench.session.default_account()).await.unwrap();
    assert_eq!([user(&whoami).await, user(&whoami).await], [2, 2]);
    bench.session.set_credentials(lasting(&bench.clock, 3, HOUR)).unwrap();
    assert_eq!(user(&whoami).await, 3);
    assert_eq!(sts.calls(), 3);
}

#[tokio::test]
async fn what_is_told_of_a_set_that_was_replaced_meanwhile_is_not_told_on() {
    let (bench, sts) = (Bench::new(|clock| vec![answer(clock, 1, HOUR)]), Sts::gated());
    let whoami = whoami(&bench, &sts);
    let (user, ()) = tokio::join!(user(&whoami), async {
        settle().await;
        bench.session.set_credentials(lasting(&bench.clock, 2, HOUR)).unwrap();
        sts.gate.add_permits(2);
    });
    assert_eq!((user, sts.calls()), (2, 2));
}

#[tokio::test]
async fn nothing_is_told_of_a_session_that_was_cleared_or_closed() {
    for (end, told) in [(false, ErrorKind::NotConfigured), (true, ErrorKind::Closed)] {
        let (bench, sts) = (Bench::new(|clock| vec![answer(clock, 1, HOUR)]), Sts::gated());
        let (known, asked) = (whoami(&bench, &sts), whoami(&bench, &sts));
        sts.gate.add_permits(1);
        assert_eq!(user(&known).await, 1);
        let (during, ()) = tokio::join!(kind(&asked), async {
            settle().await;
            if end {
                bench.session.close()
            } else {
                bench.session.clear()
            };
            sts.gate.add_permits(1);
        });
        assert_eq!((during, kind(&known).await, sts.calls()), (told, told, 2));
    }
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_wait_and_asked_again_by_the_next() {
    for fails in [ErrorKind::Unavailable, ErrorKind::Denied, ErrorKind::Internal] {
        let (bench, sts) = (Bench::new(|clock| vec![answer(clock, 1, HOUR)]), Sts::failing(fails));
        let whoami = whoami(&bench, &sts);
        let (kinds, ()) = tokio::join!(join_all((0..100).map(|_| kind(&whoami))), async {
            settle().await;
            sts.gate.add_permits(2);
        });
        assert!(kinds.into_iter().all(|kind| kind == fails));
        assert_eq!(sts.calls(), 1);
        assert_eq!((kind(&whoami).await, sts.calls()), (fails, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_waited_for_as_long_as_for_a_set() {
    let (bench, sts) = (Bench::new(|clock| vec![answer(clock, 1, HOUR)]), Sts::gated());
    let error = whoami(&bench, &sts).caller().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::TimedOut, Some("sts")));
}

#[tokio::test]
async fn whoever_asked_first_may_leave() {
    let (bench, sts) = (Bench::new(|clock| vec![answer(clock, 1, HOUR)]), Sts::gated());
    let whoami = whoami(&bench, &sts);
    let mut first = Box::pin(whoami.caller()) as std::pin::Pin<Box<dyn Future<Output = _> + Send + '_>>;
    assert!(poll_once(&mut first).await.is_none());
    let (user, ()) = tokio::join!(user(&whoami), async {
        settle().await;
        drop(first);
        sts.gate.add_permits(1);
    });
    assert_eq!((user, sts.calls()), (1, 1), "who came second goes on with the same call");
}

#[tokio::test]
async fn an_account_without_credentials_is_not_asked_about() {
    let (bench, sts) = (Bench::new(|_| vec![denied()]), Sts::open());
    assert_eq!((kind(&whoami(&bench, &sts)).await, sts.calls()), (ErrorKind::Denied, 0));
    assert!(!format!("{:?}", whoami(&bench, &sts)).contains("secret"));
}
