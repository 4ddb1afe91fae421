//! Eight hours over real HTTP: a role, and a role that is assumed with it.

use super::*;

/// Two refreshes of credentials of an hour are never less than 43.5 min apart: the advisory window is 15 min and a tenth of jitter.
const MAX_FETCHES: usize = (8 * 60 * 2_usize).div_ceil(87);

#[tokio::test(start_paused = true)]
async fn chained_roles_eight_hours_need_at_most_twelve_calls() {
    let hub = RoleSessionFixture::with_credentials(HOUR, RefreshPolicy::default()).await;
    let chained = StsFixture::start(hub.clock, HOUR).await;
    let source = hub.session.account(hub.session.default_account()).unwrap();
    let provider = role_builder(&chained, Arc::new(source)).role_chaining().build().unwrap();
    let alias = "chained".parse().unwrap();
    hub.session.for_account(&alias).set_provider(provider).unwrap();
    // Giving the session an account voids what was derived before: the hub's first credentials are fetched again.
    let before = hub.sts.request_count();
    let (mut answered, mut pauses) = (0, (1..180).cycle().step_by(67));
    while hub.clock.elapsed() < 8 * HOUR {
        let set = with_small_time_steps(hub.session.for_account(&alias).credentials()).await.unwrap();
        assert!(!set.expiry().has_passed(hub.clock.now()), "nothing expired is served");
        answered += 1;
        sleep(SECOND * pauses.next().unwrap()).await;
    }
    assert_eq!(MAX_FETCHES, 8 + 4);
    for calls in [hub.sts.request_count() - before, chained.request_count()] {
        assert!((8..=MAX_FETCHES).contains(&calls), "{calls} calls");
    }
    assert!(answered > 200);
}
