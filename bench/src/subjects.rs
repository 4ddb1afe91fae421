//! The subjects of the measures of the warm path, and the lower bounds to which they are compared.

use std::sync::Arc;

use valetkey_core::CredentialProvider;

use crate::Result;
use crate::competitors::google::GooglePeer;
use crate::competitors::limits::{
    ArcClone, CoarseClock, CombinedLimits, EmptyLoop, SwapLoad, SwapLoadFull, WallClock,
};
use crate::competitors::object_store::ObjectStorePeer;
use crate::competitors::reqsign::ReqsignPeer;
use crate::competitors::sdk::SdkPeer;
use crate::competitors::valetkey::{Borrowed, BoxedFuture, DynProvider, SessionPeer};
use crate::competitors::{dashmap, moka};
use crate::contender::{Contender, register, register_holding};
use crate::fake_source::{Script, Upstream};
use crate::subject::Peer;

pub(crate) const OWNED: &str = "valetkey, owned";
pub(crate) const BORROWED: &str = "valetkey, borrowed";
const OWNED_WITH_MANY_HELD: &str = "valetkey, owned, with 16 more held";
const THROUGH_TRAIT: &str = "valetkey, through dyn";
const BOXED_FUTURE: &str = "valetkey, dyn provide()";
pub(crate) const ARC_CLONE: &str = "Arc clone";
const SWAP_LOAD: &str = "arc-swap load";
const SWAP_LOAD_FULL: &str = "arc-swap load_full";
const WALL_CLOCK: &str = "SystemTime::now";
const COARSE_CLOCK: &str = "coarse clock";
const COMBINED: &str = "arc-swap load, Arc clone, coarse clock";
const EMPTY_LOOP: &str = "empty loop";
pub(crate) const SDK: &str = SdkPeer::NAME;
pub(crate) const MOKA_GET: &str = "moka get";
pub(crate) const DASHMAP_GET: &str = "DashMap get";

/// The ways to fetch from a session on the warm path, which have goals.
pub(crate) const VALETKEY_VARIANTS: [&str; 3] = [OWNED, BORROWED, THROUGH_TRAIT];

/// The lower bounds for the parts of a fetch, which are not credential caches.
pub(crate) const LIMITS: [&str; 7] =
    [ARC_CLONE, SWAP_LOAD, SWAP_LOAD_FULL, WALL_CLOCK, COARSE_CLOCK, COMBINED, EMPTY_LOOP];

/// Returns all warm subjects: valetkey, then other caches, then lower bounds.
pub(crate) async fn all_contenders() -> Result<Vec<Box<dyn Contender>>> {
    let mut contenders = valetkey_contenders().await?;
    contenders.extend([
        register(SDK, open_warm::<SdkPeer>().await?).await?,
        register(ObjectStorePeer::NAME, open_warm::<ObjectStorePeer>().await?).await?,
        register(ReqsignPeer::NAME, open_warm::<ReqsignPeer>().await?).await?,
        register(GooglePeer::NAME, open_warm::<GooglePeer>().await?).await?,
        register(moka::MokaTryGetWith::NAME, open_warm::<moka::MokaTryGetWith>().await?).await?,
        register(MOKA_GET, moka::MokaGet::with_entries(1).await).await?,
        register(DASHMAP_GET, dashmap::DashMapGet::with_entries(1)).await?,
    ]);
    contenders.extend(limit_contenders().await?);
    contenders.extend([
        register(WALL_CLOCK, WallClock).await?,
        register(COARSE_CLOCK, CoarseClock).await?,
        register(COMBINED, CombinedLimits::new()).await?,
        register(EMPTY_LOOP, EmptyLoop).await?,
    ]);
    Ok(contenders)
}

/// Returns the subjects whose instructions are counted.
pub(crate) async fn instruction_contenders() -> Result<Vec<Box<dyn Contender>>> {
    let mut contenders = valetkey_contenders().await?;
    contenders.push(register(SDK, open_warm::<SdkPeer>().await?).await?);
    contenders.extend(limit_contenders().await?);
    Ok(contenders)
}

/// Creates a session that has fetched its credentials.
pub(crate) async fn warm_session() -> Result<SessionPeer> {
    open_warm().await
}

async fn valetkey_contenders() -> Result<Vec<Box<dyn Contender>>> {
    let session = warm_session().await?;
    let (lent, shared) = (Borrowed(session.0.clone()), Arc::new(session.0.clone()));
    let shared: Arc<dyn CredentialProvider> = shared;
    Ok(vec![
        register(OWNED, session).await?,
        register(BORROWED, lent).await?,
        register(THROUGH_TRAIT, DynProvider(Arc::clone(&shared))).await?,
        register(BOXED_FUTURE, BoxedFuture(shared)).await?,
    ])
}

async fn limit_contenders() -> Result<Vec<Box<dyn Contender>>> {
    Ok(vec![
        register(SWAP_LOAD_FULL, SwapLoadFull::new()).await?,
        register(SWAP_LOAD, SwapLoad::new()).await?,
        register(ARC_CLONE, ArcClone::new()).await?,
    ])
}

/// Returns a session of which a task holds more credentials than a thread holds without counting.
pub(crate) async fn contender_holding_many() -> Result<Box<dyn Contender>> {
    register_holding(OWNED_WITH_MANY_HELD, warm_session().await?, 16).await
}

/// Creates a peer that has fetched its credentials.
async fn open_warm<P: Peer>() -> Result<P> {
    let peer = P::setup(Upstream::new(Script::WARM)).await?;
    match peer.fetch().await {
        Ok(_) => Ok(peer),
        Err(error) => Err(format!("{} could not fetch: {error:?}", P::NAME).into()),
    }
}
