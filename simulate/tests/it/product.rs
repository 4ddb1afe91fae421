//! The same day with sessions of `valetkey-core`: their own rules, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use valetkey_core::testing::VirtualClock;
use valetkey_core::{
    Clock, Credentials, Expiry, Principal, RefreshLimits, SessionContext, SessionRegistry, provider_fn,
};
use valetkey_simulate::Millis;
use valetkey_simulate::scenario::Scenario;
use valetkey_simulate::series::{Series, count};

/// Runs the day of one node with the product. Its outages are those of the scenario; other incidents are not supported.
pub(crate) async fn run(scenario: &Scenario) -> Series {
    let clock = VirtualClock::new();
    let series = Arc::new(Mutex::new(Series::new(scenario.until)));
    let registry = SessionRegistry::builder()
        .clock(Arc::new(clock))
        .max_sessions_per_principal(10_000)
        .idle_ttl(Duration::from_secs(200_000))
        .max_lifetime(Duration::from_secs(200_000))
        .build();
    let warm = tokio::spawn(registry.keep_warm(RefreshLimits::default()));
    let principal: Principal = "alice".parse().unwrap();
    let mut users = Vec::new();
    for index in 0..scenario.sessions {
        let provider = sts(scenario.clone(), clock, Arc::clone(&series));
        let builder = SessionContext::builder().clock(Arc::new(clock)).provider(provider);
        let opened = registry.open(principal.clone(), builder).unwrap();
        let opens_at = scenario.opened_within / scenario.sessions * index;
        users.push(tokio::spawn(use_session(opened, opens_at, scenario.until, clock, Arc::clone(&series))));
    }
    for user in users {
        user.await.unwrap();
    }
    drop(registry);
    warm.await.unwrap();
    Arc::into_inner(series).unwrap().into_inner()
}

/// A caller that uses its session every ten seconds, and notes the time in which there are no credentials.
async fn use_session(
    session: valetkey_core::SessionGuard,
    opens_at: Millis,
    until: Millis,
    clock: VirtualClock,
    series: Arc<Mutex<Series>>,
) {
    sleep(Duration::from_millis(opens_at.into())).await;
    while millis(clock) < until {
        let called_at = millis(clock);
        let outcome = session.credentials().await;
        let failed = outcome.is_err();
        if failed {
            sleep(Duration::from_secs(2)).await;
        }
        if failed || millis(clock) > called_at + 1_000 {
            series.lock().add_time_without(called_at, millis(clock).min(until));
        }
        if !failed {
            sleep(Duration::from_secs(10)).await;
        }
    }
}

fn sts(
    scenario: Scenario,
    clock: VirtualClock,
    series: Arc<Mutex<Series>>,
) -> impl valetkey_core::CredentialProvider {
    let lifetime = Duration::from_millis(scenario.lifetime.into());
    let scenario = Arc::new(scenario);
    provider_fn("sts", move || {
        let (scenario, series) = (Arc::clone(&scenario), Arc::clone(&series));
        async move {
            if scenario.sts_outages.iter().any(|outage| outage.contains(millis(clock))) {
                std::future::pending::<()>().await;
            }
            count(&mut series.lock().issued, millis(clock));
            sleep(Duration::from_millis(75)).await;
            let id = format!("ASIA{:016}", fastrand::u64(..10_000_000_000_000_000)).parse()?;
            Credentials::builder(id, "example".into())
                .session_token(secrecy::SecretString::from("example"))
                .expiry(Expiry::At(clock.now() + lifetime))
                .build()
        }
    })
}

fn millis(clock: VirtualClock) -> Millis {
    Millis::try_from(clock.elapsed().as_millis()).unwrap()
}
