//! Churn: the rate at which sessions are opened and closed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use dashmap::DashMap;
use tokio::runtime::Runtime;
use valetkey_core::{Credentials, Expiry, Principal, SessionContext, SessionRegistry};

use crate::Result;
use crate::competitors::sdk::{CachedIdentity, SdkClient};
use crate::competitors::valetkey::payload_credentials;
use crate::competitors::{moka, registry, registry_key};
use crate::env::BenchEnv;
use crate::fake_source::{LIFETIME, Script, Upstream};
use crate::goal::Goal;
use crate::payload::Payload;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;

pub(crate) const MEASURE_NAME: &str = "open + set + fetch + close";
const MOKA_CYCLE: &str = "moka insert + get + invalidate";
const SESSION_CYCLE: &str = "valetkey";
const REGISTRY_CYCLE: &str = "valetkey, in a registry";
const METHOD: &str = "One task runs cycles, each with its own key. Credentials are created beforehand and shared, \
    except for the SDK, whose provider creates them each time; keys are copied texts of 40 bytes.";
/// The number of keys.
const KEY_COUNT: usize = 10_000;

/// Runs a number of cycles.
type CycleFn = fn(&ChurnFixture, &Runtime, usize) -> Result<()>;

const CYCLES: [(&str, CycleFn); 5] = [
    (SESSION_CYCLE, session_cycle),
    (REGISTRY_CYCLE, registry_cycle),
    (MOKA_CYCLE, moka_cycle),
    ("DashMap insert + get + remove", dashmap_cycle),
    ("AWS SDK identity cache: new, fetch, drop", sdk_cycle),
];

/// Values that are created before the measurement.
struct ChurnFixture {
    keys: Vec<String>,
    payload: Arc<Payload>,
    credentials: Credentials,
    cache: ::moka::future::Cache<String, Arc<Payload>>,
    map: DashMap<String, Arc<Payload>>,
    client: SdkClient,
    registry: SessionRegistry,
    principal: Principal,
}

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let payload = Payload::with_number(0);
    let setting = ChurnFixture {
        keys: (0..KEY_COUNT as u64).map(registry_key).collect(),
        credentials: payload_credentials(&payload, Expiry::At(SystemTime::now() + LIFETIME))?,
        payload: Arc::new(payload),
        cache: moka::build_cache(LIFETIME),
        map: DashMap::new(),
        client: SdkClient::new()?,
        registry: registry::build_registry(KEY_COUNT as u64)?,
        principal: registry::numbered_principal(0)?,
    };
    let mut rates: Vec<Rounds> = vec![Rounds::default(); CYCLES.len()];
    // A cycle takes about a microsecond.
    let cycles = usize::try_from(env.profile.time_per_subject.as_micros())?;
    for round in 0..=env.profile.rounds {
        for ((_, cycle), rates) in CYCLES.iter().zip(&mut rates) {
            let start = Instant::now();
            cycle(&setting, &env.runtime, cycles)?;
            // The first round warms up.
            if round > 0 {
                rates.push(cycles as f64 / start.elapsed().as_secs_f64() / 1e3);
            }
        }
    }
    Ok(vec![build_section(&rates)])
}

fn build_section(rates: &[Rounds]) -> Section {
    let mut section = Section::new("Churn", METHOD);
    for ((name, _), rate) in CYCLES.iter().zip(rates) {
        let figure = Figure::new(MEASURE_NAME, *name, "k/s", rate)
            .with_reference(MOKA_CYCLE, &rate.ratio_to(&rates[2]));
        section.push(match *name {
            SESSION_CYCLE => figure.with_goal(Goal::AtLeast(0.8)),
            REGISTRY_CYCLE => figure.with_goal(Goal::AtLeast(0.5)),
            _ => figure,
        });
    }
    section
}

fn session_cycle(setting: &ChurnFixture, runtime: &Runtime, cycles: usize) -> Result<()> {
    runtime.block_on(async {
        for _ in 0..cycles {
            let session = SessionContext::builder().build();
            session.set_credentials(setting.credentials.clone())?;
            black_box(&session.credentials().await?);
            session.close();
        }
        Ok(())
    })
}

fn registry_cycle(setting: &ChurnFixture, runtime: &Runtime, cycles: usize) -> Result<()> {
    runtime.block_on(async {
        for _ in 0..cycles {
            let opened = setting.registry.open(setting.principal.clone(), SessionContext::builder())?;
            opened.set_credentials(setting.credentials.clone())?;
            black_box(&opened.credentials().await?);
            let handle = opened.handle();
            drop(opened);
            setting.registry.close(&setting.principal, &handle);
        }
        Ok(())
    })
}

fn moka_cycle(setting: &ChurnFixture, runtime: &Runtime, cycles: usize) -> Result<()> {
    runtime.block_on(async {
        for key in setting.keys.iter().cycle().take(cycles) {
            setting.cache.insert(key.clone(), Arc::clone(&setting.payload)).await;
            black_box(&setting.cache.get(key.as_str()).await);
            setting.cache.invalidate(key.as_str()).await;
        }
        Ok(())
    })
}

fn dashmap_cycle(setting: &ChurnFixture, _runtime: &Runtime, cycles: usize) -> Result<()> {
    for key in setting.keys.iter().cycle().take(cycles) {
        setting.map.insert(key.clone(), Arc::clone(&setting.payload));
        black_box(&setting.map.get(key.as_str()).map(|found| Arc::clone(&found)));
        setting.map.remove(key.as_str());
    }
    Ok(())
}

fn sdk_cycle(setting: &ChurnFixture, runtime: &Runtime, cycles: usize) -> Result<()> {
    runtime.block_on(async {
        for _ in 0..cycles {
            black_box(&CachedIdentity::fetched(&setting.client, Upstream::new(Script::WARM)).await?);
        }
        Ok(())
    })
}
