//! Churn: how fast sessions come and go, and how fast one is found by its key.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use dashmap::DashMap;
use tokio::runtime::Runtime;
use valetkey_core::{Credentials, Expiry, Principal, SessionContext, SessionRegistry};

use crate::Result;
use crate::goal::Goal;
use crate::payload::Payload;
use crate::peers::sdk::{Client, Held};
use crate::peers::valetkey::credentials;
use crate::peers::{key, moka, registry};
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;
use crate::upstream::{HOUR, Script, Upstream};

pub(crate) const NAME: &str = "open + set + fetch + close";
const MOKA: &str = "moka insert + get + invalidate";
const OURS: &str = "valetkey";
const REGISTERED: &str = "valetkey, in a registry";
const METHOD: &str = "One task, one cycle after another, each for a key of its own. The set is made beforehand and \
    shared, but for the SDK's, which a provider makes each time; keys are texts of 40 bytes, made beforehand and copied.";
/// How many keys go round.
const KEYS: usize = 10_000;

/// Runs so many cycles.
type Cycle = fn(&Setting, &Runtime, usize) -> Result<()>;

const CYCLES: [(&str, Cycle); 5] = [
    (OURS, sessions),
    (REGISTERED, registered),
    (MOKA, moka_cycle),
    ("DashMap insert + get + remove", map_cycle),
    ("AWS SDK identity cache: new, fetch, drop", sdk_cycle),
];

/// What is made beforehand.
struct Setting {
    keys: Vec<String>,
    payload: Arc<Payload>,
    credentials: Credentials,
    cache: ::moka::future::Cache<String, Arc<Payload>>,
    map: DashMap<String, Arc<Payload>>,
    client: Client,
    registry: SessionRegistry,
    principal: Principal,
}

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let payload = Payload::numbered(0);
    let setting = Setting {
        keys: (0..KEYS as u64).map(key).collect(),
        credentials: credentials(&payload, Expiry::At(SystemTime::now() + HOUR))?,
        payload: Arc::new(payload),
        cache: moka::cache(HOUR),
        map: DashMap::new(),
        client: Client::new()?,
        registry: registry::registry(KEYS as u64)?,
        principal: registry::principal(0)?,
    };
    let mut rates: Vec<Rounds> = vec![Rounds::default(); CYCLES.len()];
    // A cycle takes about a microsecond.
    let cycles = usize::try_from(stage.effort.slice.as_micros())?;
    for round in 0..=stage.effort.rounds {
        for ((_, cycle), rates) in CYCLES.iter().zip(&mut rates) {
            let start = Instant::now();
            cycle(&setting, &stage.runtime, cycles)?;
            // The first round warms up.
            if round > 0 {
                rates.push(cycles as f64 / start.elapsed().as_secs_f64() / 1e3);
            }
        }
    }
    Ok(vec![section(&rates)])
}

fn section(rates: &[Rounds]) -> Section {
    let mut section = Section::new("Churn", METHOD);
    for ((name, _), rate) in CYCLES.iter().zip(rates) {
        let figure = Figure::new(NAME, *name, "k/s", rate).against(MOKA, &rate.over(&rates[2]));
        section.push(if [OURS, REGISTERED].contains(name) {
            figure.goal(Goal::AtLeast(0.8))
        } else {
            figure
        });
    }
    section
}

fn sessions(setting: &Setting, runtime: &Runtime, cycles: usize) -> Result<()> {
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

fn registered(setting: &Setting, runtime: &Runtime, cycles: usize) -> Result<()> {
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

fn moka_cycle(setting: &Setting, runtime: &Runtime, cycles: usize) -> Result<()> {
    runtime.block_on(async {
        for key in setting.keys.iter().cycle().take(cycles) {
            setting.cache.insert(key.clone(), Arc::clone(&setting.payload)).await;
            black_box(&setting.cache.get(key.as_str()).await);
            setting.cache.invalidate(key.as_str()).await;
        }
        Ok(())
    })
}

fn map_cycle(setting: &Setting, _runtime: &Runtime, cycles: usize) -> Result<()> {
    for key in setting.keys.iter().cycle().take(cycles) {
        setting.map.insert(key.clone(), Arc::clone(&setting.payload));
        black_box(&setting.map.get(key.as_str()).map(|found| Arc::clone(&found)));
        setting.map.remove(key.as_str());
    }
    Ok(())
}

fn sdk_cycle(setting: &Setting, runtime: &Runtime, cycles: usize) -> Result<()> {
    runtime.block_on(async {
        for _ in 0..cycles {
            black_box(&Held::filled(&setting.client, Upstream::new(Script::WARM)).await?);
        }
        Ok(())
    })
}
