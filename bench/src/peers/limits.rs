//! The limits: the least that a part of a warm fetch can cost. None of them is a cache of credentials.

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
use crate::payload::Payload;
use crate::subject::Subject;
use crate::upstream::Refused;

/// The loop and the ready future alone.
pub(crate) struct Nothing;

impl Subject for Nothing {
    type Set = ();
    type Fault = Infallible;

    async fn fetch(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The least that handing out a counted set can cost.
pub(crate) struct ArcClone(Arc<Payload>);

impl ArcClone {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Payload::numbered(0)))
    }
}

impl Subject for ArcClone {
    type Set = Arc<Payload>;
    type Fault = Infallible;

    async fn fetch(&self) -> Result<Arc<Payload>, Infallible> {
        Ok(Arc::clone(&self.0))
    }
}

/// What can be replaced while it is read, read in place.
pub(crate) struct SwapLoad(ArcSwap<Payload>);

impl SwapLoad {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(Payload::numbered(0)))
    }
}

impl Subject for SwapLoad {
    type Set = Guard<Arc<Payload>>;
    type Fault = Infallible;

    async fn fetch(&self) -> Result<Guard<Arc<Payload>>, Infallible> {
        Ok(self.0.load())
    }
}

/// What can be replaced while it is read, taken away.
pub(crate) struct SwapLoadFull(ArcSwap<Payload>);

impl SwapLoadFull {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(Payload::numbered(0)))
    }
}

impl Subject for SwapLoadFull {
    type Set = Arc<Payload>;
    type Fault = Infallible;

    async fn fetch(&self) -> Result<Arc<Payload>, Infallible> {
        Ok(self.0.load_full())
    }
}

/// The least that a counted set can cost which has an expiry and can be replaced while it is read: all three limits in a
/// row, and nothing else. A set that is not counted costs less.
pub(crate) struct Together {
    served: ArcSwap<Served>,
}

struct Served {
    set: Arc<Payload>,
    until: i64,
}

impl Together {
    pub(crate) fn new() -> Self {
        let set = Arc::new(Payload::numbered(0));
        Self { served: ArcSwap::from_pointee(Served { set, until: i64::MAX }) }
    }
}

impl Subject for Together {
    type Set = Arc<Payload>;
    type Fault = Refused;

    async fn fetch(&self) -> Result<Arc<Payload>, Refused> {
        let served = self.served.load();
        let now = clock_gettime(ClockId::RealtimeCoarse);
        if now.tv_sec < served.until { Ok(Arc::clone(&served.set)) } else { Err(Refused) }
    }
}

/// The least that finding a session can cost which is closed when it was idle for some time: a map, a reference, the
/// time when it was found and when it was let go, and the session's own warm fetch.
pub(crate) struct FoundAlone {
    sessions: DashMap<Key, Arc<(Principal, SessionContext)>, BuildHasherDefault<OwnBits>>,
    principal: Principal,
    key: Key,
}

impl FoundAlone {
    pub(crate) async fn among(count: u64) -> crate::Result<Self> {
        let sessions = DashMap::default();
        for number in 0..count {
            let found = Arc::new((registry::principal(number)?, registry::session().await?));
            sessions.insert(Key::scattered(number), found);
        }
        let middle = count / 2;
        Ok(Self { sessions, principal: registry::principal(middle)?, key: Key::scattered(middle) })
    }
}

impl Subject for FoundAlone {
    type Set = Credentials;
    type Fault = Refused;

    async fn fetch(&self) -> Result<Credentials, Refused> {
        black_box(clock_gettime(ClockId::RealtimeCoarse));
        let found = self.sessions.get(&self.key).map(|found| Arc::clone(&found)).ok_or(Refused)?;
        if found.0 != self.principal {
            return Err(Refused);
        }
        let fetched = found.1.credentials().await.map_err(|_| Refused);
        black_box(clock_gettime(ClockId::RealtimeCoarse));
        fetched
    }
}

/// As a handle is: bits that are their own hash.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u128);

impl Key {
    fn scattered(number: u64) -> Self {
        Self(u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.0 >> 64) as u64);
    }
}

#[derive(Default)]
struct OwnBits(u64);

impl Hasher for OwnBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }

    fn write(&mut self, _: &[u8]) {}
}

/// The cheapest wall clock of the kernel.
pub(crate) struct CoarseClock;

impl Subject for CoarseClock {
    type Set = Timespec;
    type Fault = Infallible;

    async fn fetch(&self) -> Result<Timespec, Infallible> {
        Ok(clock_gettime(ClockId::RealtimeCoarse))
    }
}

/// The wall clock that everybody reads.
pub(crate) struct WallClock;

impl Subject for WallClock {
    type Set = SystemTime;
    type Fault = Infallible;

    async fn fetch(&self) -> Result<SystemTime, Infallible> {
        Ok(SystemTime::now())
    }
}
