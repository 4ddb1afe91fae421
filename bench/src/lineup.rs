//! The lineup: everybody who stands side by side in the measures of the warm path, and whom they are held against.

use std::sync::Arc;

use valetkey_core::CredentialProvider;

use crate::Result;
use crate::entrant::{Entrant, enter, enter_holding};
use crate::peers::google::Google;
use crate::peers::limits::{ArcClone, CoarseClock, Nothing, SwapLoad, SwapLoadFull, Together, WallClock};
use crate::peers::object_store::Store;
use crate::peers::reqsign::Signed;
use crate::peers::sdk::SdkCache;
use crate::peers::valetkey::{AsProvider, Boxed, Lent, Session};
use crate::peers::{dashmap, moka};
use crate::subject::Peer;
use crate::upstream::{Script, Upstream};

pub(crate) const OWNED: &str = "valetkey, owned";
pub(crate) const LENT: &str = "valetkey, lent";
const OWNED_MANY: &str = "valetkey, owned, with 16 more in hand";
const THROUGH_TRAIT: &str = "valetkey, through dyn";
const BOXED: &str = "valetkey, dyn provide()";
pub(crate) const ARC_CLONE: &str = "Arc clone";
const SWAP_LOAD: &str = "arc-swap load";
const SWAP_LOAD_FULL: &str = "arc-swap load_full";
const WALL_CLOCK: &str = "SystemTime::now";
const COARSE_CLOCK: &str = "coarse clock";
const TOGETHER: &str = "arc-swap load, Arc clone, coarse clock";
const LOOP: &str = "the loop alone";
pub(crate) const SDK: &str = SdkCache::NAME;
pub(crate) const MOKA_GET: &str = "moka get";
pub(crate) const DASHMAP_GET: &str = "DashMap get";

/// The ways to fetch from a session that are meant for the warm path, and so have goals.
pub(crate) const OURS: [&str; 3] = [OWNED, LENT, THROUGH_TRAIT];

/// What the parts of a fetch cost; no caches of credentials.
pub(crate) const LIMITS: [&str; 7] =
    [ARC_CLONE, SWAP_LOAD, SWAP_LOAD_FULL, WALL_CLOCK, COARSE_CLOCK, TOGETHER, LOOP];

/// Everybody, warm: ours first, then the peers, then the limits.
pub(crate) async fn everybody() -> Result<Vec<Box<dyn Entrant>>> {
    let mut everybody = ours().await?;
    everybody.extend([
        enter(SDK, warm::<SdkCache>().await?).await?,
        enter(Store::NAME, warm::<Store>().await?).await?,
        enter(Signed::NAME, warm::<Signed>().await?).await?,
        enter(Google::NAME, warm::<Google>().await?).await?,
        enter(moka::TryGetWith::NAME, warm::<moka::TryGetWith>().await?).await?,
        enter(MOKA_GET, moka::Get::among(1).await).await?,
        enter(DASHMAP_GET, dashmap::Get::among(1)).await?,
    ]);
    everybody.extend(limits().await?);
    everybody.extend([
        enter(WALL_CLOCK, WallClock).await?,
        enter(COARSE_CLOCK, CoarseClock).await?,
        enter(TOGETHER, Together::new()).await?,
        enter(LOOP, Nothing).await?,
    ]);
    Ok(everybody)
}

/// Those whose instructions are counted.
pub(crate) async fn warm_path() -> Result<Vec<Box<dyn Entrant>>> {
    let mut few = ours().await?;
    few.push(enter(SDK, warm::<SdkCache>().await?).await?);
    few.extend(limits().await?);
    Ok(few)
}

/// A session that has fetched its set.
pub(crate) async fn session() -> Result<Session> {
    warm().await
}

async fn ours() -> Result<Vec<Box<dyn Entrant>>> {
    let session = session().await?;
    let (lent, shared) = (Lent(session.0.clone()), Arc::new(session.0.clone()));
    let shared: Arc<dyn CredentialProvider> = shared;
    Ok(vec![
        enter(OWNED, session).await?,
        enter(LENT, lent).await?,
        enter(THROUGH_TRAIT, AsProvider(Arc::clone(&shared))).await?,
        enter(BOXED, Boxed(shared)).await?,
    ])
}

async fn limits() -> Result<Vec<Box<dyn Entrant>>> {
    Ok(vec![
        enter(SWAP_LOAD_FULL, SwapLoadFull::new()).await?,
        enter(SWAP_LOAD, SwapLoad::new()).await?,
        enter(ARC_CLONE, ArcClone::new()).await?,
    ])
}

/// A session of which more sets are in hand than a thread holds uncounted.
pub(crate) async fn crowded() -> Result<Box<dyn Entrant>> {
    enter_holding(OWNED_MANY, session().await?, 16).await
}

/// A peer that has fetched its set.
async fn warm<P: Peer>() -> Result<P> {
    let peer = P::open(Upstream::new(Script::WARM)).await?;
    match peer.fetch().await {
        Ok(_) => Ok(peer),
        Err(fault) => Err(format!("{} could not fetch: {fault:?}", P::NAME).into()),
    }
}
