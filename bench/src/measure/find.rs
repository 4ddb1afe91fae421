//! Find by key, then fetch: what a caller pays that holds a key and no handle.

use crate::Result;
use crate::entrant::{Entrant, enter};
use crate::goal::Goal;
use crate::lineup::{DASHMAP_GET, MOKA_GET, OWNED, session};
use crate::peers::limits::FoundAlone;
use crate::peers::registry::Found;
use crate::peers::{dashmap, moka};
use crate::sheet::{Figure, Section};
use crate::stage::Stage;

pub(crate) const NAME: &str = "find by key, then fetch";
const FOUND: &str = "valetkey, in a registry";
const ALONE: &str = "a map of sessions, and the time at both ends";
const METHOD: &str = "One task; 10,000 entries, by principal and handle in the registry, under texts of 40 bytes \
    elsewhere. moka and DashMap find a set; the registry finds a session and fetches. A DashMap of sessions that reads the \
    clock at both ends, which is what it takes to know how long a session is idle, and does nothing with it, is a limit. \
    Whoever holds a session pays for the fetch alone. One of the two goals is enough.";
const ENTRIES: u64 = 10_000;

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let entrants = stage.runtime.block_on(finders())?;
    let times = super::warm::time(stage, &entrants);
    let mut section = Section::new("Find a session by key", METHOD);
    for entrant in &entrants {
        let name = entrant.name();
        let figure = Figure::new(NAME, name, "ns", &times[name]);
        let figure = figure.against(MOKA_GET, &times[name].over(&times[MOKA_GET]));
        section.push(if name == FOUND { figure.goal(Goal::AtMost(0.333)) } else { figure });
    }
    let slower = times[FOUND].over(&times[DASHMAP_GET]);
    let figure = Figure::new(format!("{NAME}, times DashMap's"), FOUND, "×", &slower);
    let figure = figure.against(DASHMAP_GET, &slower);
    // The other goal, of which one is enough.
    let needed = section.figures.iter().any(|figure| figure.met == Some(false));
    section.push(if needed { figure.goal(Goal::AtMost(1.25)) } else { figure });
    Ok(vec![section])
}

async fn finders() -> Result<Vec<Box<dyn Entrant>>> {
    Ok(vec![
        enter(FOUND, Found::among(ENTRIES)?).await?,
        enter(ALONE, FoundAlone::among(ENTRIES).await?).await?,
        enter(OWNED, session().await?).await?,
        enter(MOKA_GET, moka::Get::among(ENTRIES).await).await?,
        enter(DASHMAP_GET, dashmap::Get::among(ENTRIES)).await?,
    ])
}
