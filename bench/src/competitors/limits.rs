//! The lower bounds: the minimal cost of each part of a warm fetch. None of them is a credential cache.

use std::convert::Infallible;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;
use rustix::time::{ClockId, Timespec, clock_gettime};
use valetkey_core::{Credentials, Principal, SessionContext};

use super::registry;
use crate::fake_source::UpstreamError;
use crate::payload::Payload;
use crate::subject::Subject;

/// The loop and a ready future, and nothing else.
pub(crate) struct EmptyLoop;

impl Subject for EmptyLoop {
    type Fetched = ();
    type FetchError = Infallible;

    async fn fetch(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The minimal cost of a reference-counted value.
pub(crate) struct ArcClone(Arc<Payload>);

impl ArcClone {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Payload::with_number(0)))
    }
}

impl Subject for ArcClone {
    type Fetched = Arc<Payload>;
    type FetchError = Infallible;

    async fn fetch(&self) -> Result<Arc<Payload>, Infallible> {
        Ok(Arc::clone(&self.0))
    }
}

/// A value that can be replaced while it is read, borrowed.
pub(crate) struct SwapLoad(ArcSwap<Payload>);

impl SwapLoad {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(Payload::with_number(0)))
    }
}

impl Subject for SwapLoad {
    type Fetched = Guard<Arc<Payload>>;
    type FetchError = Infallible;

    async fn fetch(&self) -> Result<Guard<Arc<Payload>>, Infallible> {
        Ok(self.0.load())
    }
}

/// A value that can be replaced while it is read, cloned.
pub(crate) struct SwapLoadFull(ArcSwap<Payload>);

impl SwapLoadFull {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(Payload::with_number(0)))
    }
}

impl Subject for SwapLoadFull {
    type Fetched = Arc<Payload>;
    type FetchError = Infallible;

    async fn fetch(&self) -> Result<Arc<Payload>, Infallible> {
        Ok(self.0.load_full())
    }
}

/// The minimal cost of a reference-counted value with an expiry that can be replaced while it is read: the three bounds
/// together. A borrowed value costs less.
pub(crate) struct CombinedLimits {
    cached: ArcSwap<CachedPayload>,
}

struct CachedPayload {
    payload: Arc<Payload>,
    expires_at: i64,
}

impl CombinedLimits {
    pub(crate) fn new() -> Self {
        let set = Arc::new(Payload::with_number(0));
        Self { cached: ArcSwap::from_pointee(CachedPayload { payload: set, expires_at: i64::MAX }) }
    }
}

impl Subject for CombinedLimits {
    type Fetched = Arc<Payload>;
    type FetchError = UpstreamError;

    async fn fetch(&self) -> Result<Arc<Payload>, UpstreamError> {
        let served = self.cached.load();
        let now = clock_gettime(ClockId::RealtimeCoarse);
        if now.tv_sec < served.expires_at { Ok(Arc::clone(&served.payload)) } else { Err(UpstreamError) }
    }
}

/// The minimal cost of finding a session that has an idle timeout: a map, a reference, the time at which it is found
/// and released, and the warm fetch of the session.
pub(crate) struct SessionMap {
    sessions: DashMap<ScatteredKey, Arc<(Principal, SessionContext)>, BuildHasherDefault<KeyBitsHasher>>,
    principal: Principal,
    key: ScatteredKey,
}

impl SessionMap {
    pub(crate) async fn with_entries(count: u64) -> crate::Result<Self> {
        let sessions = DashMap::default();
        for number in 0..count {
            let found = Arc::new((registry::numbered_principal(number)?, registry::warm_session().await?));
            sessions.insert(ScatteredKey::scattered(number), found);
        }
        let middle = count / 2;
        Ok(Self {
            sessions,
            principal: registry::numbered_principal(middle)?,
            key: ScatteredKey::scattered(middle),
        })
    }
}

impl Subject for SessionMap {
    type Fetched = Credentials;
    type FetchError = UpstreamError;

    async fn fetch(&self) -> Result<Credentials, UpstreamError> {
        black_box(clock_gettime(ClockId::RealtimeCoarse));
        let found = self.sessions.get(&self.key).map(|found| Arc::clone(&found)).ok_or(UpstreamError)?;
        if found.0 != self.principal {
            return Err(UpstreamError);
        }
        let fetched = found.1.credentials().await.map_err(|_| UpstreamError);
        black_box(clock_gettime(ClockId::RealtimeCoarse));
        fetched
    }
}

/// Like a handle: random bits that are their own hash.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ScatteredKey(u128);

impl ScatteredKey {
    fn scattered(number: u64) -> Self {
        Self(u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }
}

impl Hash for ScatteredKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.0 >> 64) as u64);
    }
}

#[derive(Default)]
struct KeyBitsHasher(u64);

impl Hasher for KeyBitsHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }

    fn write(&mut self, _: &[u8]) {}
}

/// The fastest wall clock of the kernel.
pub(crate) struct CoarseClock;

impl Subject for CoarseClock {
    type Fetched = Timespec;
    type FetchError = Infallible;

    async fn fetch(&self) -> Result<Timespec, Infallible> {
        Ok(clock_gettime(ClockId::RealtimeCoarse))
    }
}

/// The standard wall clock.
pub(crate) struct WallClock;

impl Subject for WallClock {
    type Fetched = SystemTime;
    type FetchError = Infallible;

    async fn fetch(&self) -> Result<SystemTime, Infallible> {
        Ok(SystemTime::now())
    }
}
