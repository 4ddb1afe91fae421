//! Find by key, then fetch: the cost for a caller that holds a key instead of a session.

use crate::Result;
use crate::competitors::limits::SessionMap;
use crate::competitors::registry::RegistryFind;
use crate::competitors::{dashmap, moka};
use crate::contender::{Contender, register};
use crate::env::BenchEnv;
use crate::goal::Goal;
use crate::results::{Figure, Section};
use crate::subjects::{DASHMAP_GET, MOKA_GET, OWNED, warm_session};

pub(crate) const MEASURE_NAME: &str = "find by key, then fetch";
const REGISTRY_FIND: &str = "valetkey, in a registry";
const SESSION_MAP: &str = "a map of sessions with two clock reads";
const METHOD: &str = "One task; 10,000 entries, by principal and handle in the registry, by texts of 40 bytes \
    elsewhere. moka and DashMap find credentials; the registry finds a session and fetches. A DashMap of sessions that \
    reads the clock when a session is found and released, as an idle timeout requires, is a lower bound. A caller that \
    holds a session only pays for the fetch.";
const ENTRIES: u64 = 10_000;

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let contenders = env.runtime.block_on(find_contenders())?;
    let times = super::warm::time_contenders(env, &contenders);
    let mut section = Section::new("Find a session by key", METHOD);
    for contender in &contenders {
        let name = contender.name();
        let figure = Figure::new(MEASURE_NAME, name, "ns", &times[name]);
        let figure = figure.with_reference(MOKA_GET, &times[name].ratio_to(&times[MOKA_GET]));
        section.push(if name == REGISTRY_FIND { figure.with_goal(Goal::AtMost(1.3)) } else { figure });
    }
    Ok(vec![section])
}

async fn find_contenders() -> Result<Vec<Box<dyn Contender>>> {
    Ok(vec![
        register(REGISTRY_FIND, RegistryFind::with_entries(ENTRIES)?).await?,
        register(SESSION_MAP, SessionMap::with_entries(ENTRIES).await?).await?,
        register(OWNED, warm_session().await?).await?,
        register(MOKA_GET, moka::MokaGet::with_entries(ENTRIES).await).await?,
        register(DASHMAP_GET, dashmap::DashMapGet::with_entries(ENTRIES)).await?,
    ])
}
