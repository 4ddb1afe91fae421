//! Find by key, then fetch: what a caller pays that holds a key and no handle.

use crate::Result;
use crate::entrant::{Entrant, enter};
use crate::lineup::{DASHMAP_GET, MOKA_GET, OWNED, session};
use crate::peers::{dashmap, moka};
use crate::sheet::{Figure, Section};
use crate::stage::Stage;

pub(crate) const NAME: &str = "find by key, then fetch";
const METHOD: &str = "One task; 10,000 entries under texts of 40 bytes. moka and DashMap find a set; whoever holds a \
    session's handle finds nothing, and pays for the fetch alone.";
const ENTRIES: u64 = 10_000;

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let entrants = stage.runtime.block_on(finders())?;
    let times = super::warm::time(stage, &entrants);
    let mut section = Section::new("Find a session by key", METHOD);
    for entrant in &entrants {
        let name = entrant.name();
        let figure = Figure::new(NAME, name, "ns", &times[name]);
        section.push(figure.against(MOKA_GET, &times[name].over(&times[MOKA_GET])));
    }
    section.not_run("SessionRegistry: there is none yet");
    Ok(vec![section])
}

async fn finders() -> Result<Vec<Box<dyn Entrant>>> {
    Ok(vec![
        enter(OWNED, session().await?).await?,
        enter(MOKA_GET, moka::Get::among(ENTRIES).await).await?,
        enter(DASHMAP_GET, dashmap::Get::among(ENTRIES)).await?,
    ])
}
