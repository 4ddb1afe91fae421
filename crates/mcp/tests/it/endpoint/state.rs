//! Sessions that were cleared, closed or never had anything, and providers that say no or do not answer.

use std::time::Duration;

use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::{Canary, Script, ScriptedProvider};
use valetkey_core::{Error, ErrorKind, Expiry, Scope};
use valetkey_mcp::endpoint::Leash;

use super::client::{Desk, ask, ask_as, send};
use crate::keys::temporary;

async fn failing(kind: ErrorKind) -> Desk {
    let provider =
        ScriptedProvider::new([Script::Fail(Error::new(kind, "scripted").with_provider("scripted"))]);
    Desk::with(|session| session.provider(provider)).await
}

#[tokio::test]
async fn a_session_without_credentials_is_refused_and_told_what_to_do() {
    let desk = Desk::new().await;
    let answer = desk.ask().await;
    assert_eq!((answer.status, &answer.body["code"]), (403, &"not_configured".into()));
    assert!(answer.body["message"].as_str().unwrap().contains("set credentials"), "{}", answer.body);
    assert_eq!(desk.recorded(AuditEvent::Deny), 1);
}

#[tokio::test]
async fn a_cleared_session_is_refused_at_once() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    assert_eq!(desk.key().await, "AAAA");
    desk.session.clear();
    assert_eq!(desk.ask().await.status, 403);
    assert_eq!((desk.recorded(AuditEvent::Serve), desk.recorded(AuditEvent::Deny)), (1, 1));
}

#[tokio::test]
async fn a_closed_session_is_refused_and_so_is_one_that_was_dropped() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    desk.session.close();
    let answer = desk.ask().await;
    assert_eq!((answer.status, &answer.body["code"]), (403, &"closed".into()));

    let Desk { session, grant, .. } = Desk::new().await;
    session.set_credentials(crate::keys::long_lived("BBBB")).unwrap();
    drop(session);
    assert_eq!(ask(&grant).await.status, 403);
}

#[tokio::test]
async fn no_reader_is_told_that_a_set_outlives_its_narrowed_session_and_then_it_is_refused() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    let child = desk.session.narrow(Scope::new().lifetime(Duration::from_secs(120))).unwrap();
    let account = child.account(child.default_account()).unwrap();
    let grants =
        [Leash::default(), Leash::Off].map(|leash| desk.endpoint.grant(account.clone(), "sub-agent", leash));
    for grant in &grants {
        let answer = ask(grant).await;
        assert_eq!(
            (answer.key(), &answer.body["Expiration"]),
            ("AAAA".into(), &"2026-11-21T12:02:00Z".into())
        );
    }
    desk.clock.advance(Duration::from_secs(120));
    for grant in &grants {
        let answer = ask(grant).await;
        assert_eq!((answer.status, &answer.body["code"]), (403, &"closed".into()));
    }
    assert_eq!(desk.key().await, "AAAA", "the session itself goes on");
}

#[tokio::test]
async fn a_dropped_grant_is_as_if_it_had_never_been() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    let (address, headers) = (desk.address(), desk.headers());
    let (_, path) = super::client::place(&desk.grant.url());
    let never = send(&address, "GET /credentials/x HTTP/1.1", &headers).await;
    drop(desk.grant);
    let gone = send(&address, &format!("GET {path} HTTP/1.1"), &headers).await;
    assert_eq!((gone.status, gone.body), (never.status, never.body));
}

#[tokio::test]
async fn a_provider_that_says_no_is_a_bad_request() {
    for kind in [ErrorKind::Denied, ErrorKind::Invalid, ErrorKind::InteractionRequired] {
        assert_eq!(failing(kind).await.ask().await.status, 400, "{kind:?}");
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_unavailable() {
    for kind in [ErrorKind::Unavailable, ErrorKind::TimedOut, ErrorKind::Throttled, ErrorKind::Internal] {
        assert_eq!(failing(kind).await.ask().await.status, 503, "{kind:?}");
    }
}

#[tokio::test]
async fn an_expired_set_that_nobody_renews_is_unavailable() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    desk.clock.advance(Duration::from_secs(3600));
    let answer = desk.ask().await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &"expired".into()));
}

#[tokio::test]
async fn a_set_in_hand_is_told_while_its_provider_is_down() {
    let clock = valetkey_core::testing::ManualClock::new();
    let until = valetkey_core::Clock::now(&clock) + Duration::from_secs(3600);
    let down = Error::new(ErrorKind::Unavailable, "scripted").with_provider("scripted");
    let provider = ScriptedProvider::new([Script::Answer(temporary("AAAA", until)), Script::Fail(down)]);
    let desk = Desk::with(|session| session.provider(provider.clone())).await;
    assert_eq!(desk.key().await, "AAAA");
    desk.clock.advance(Duration::from_secs(3590));
    assert_eq!(desk.key().await, "AAAA");
    assert_eq!(provider.calls(), 1, "the request itself asks nobody");
}

#[tokio::test]
async fn no_refusal_holds_a_secret_or_a_token() {
    let (desk, canary) = (Desk::new().await, Canary::new());
    desk.session.set_credentials(canary.credentials(Expiry::Never).unwrap()).unwrap();
    assert_eq!(canary.found_in(&desk.ask().await.body.to_string()).len(), 3, "present where it belongs");
    let mut said = String::new();
    for answer in [
        ask_as(&desk.grant, "nonsense").await,
        desk.send("POST", &desk.headers()).await,
        desk.send("GET", &[format!("Authorization: {}", desk.grant.expose_token())]).await,
    ] {
        said += &format!("{} {} {}", answer.status, answer.head, answer.body);
    }
    desk.session.clear();
    let answer = desk.ask().await;
    said += &format!("{} {} {:?} {:?}", answer.head, answer.body, desk.grant, desk.endpoint);
    assert_eq!(canary.found_in(&said), [""; 0], "{said}");
    assert!(!said.contains(desk.grant.expose_token()), "{said}");
}
