//! The limits: the least that a part of a warm fetch can cost. None of them is a cache of credentials.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, Guard};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::payload::Payload;
use crate::subject::Subject;

/// The loop and the ready future alone.
pub(crate) struct Nothing;

impl Subject for Nothing {
    type Set = ();
    type Fault = Infallible;

    async fn fetch(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The least that handing out an owned set can cost.
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
