//! Keeps the memory of this process from other processes of the same user, and out of core dumps.

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// From now on `/proc/PID/environ`, `/proc/PID/mem` and a debugger are for root only, and no core is dumped.
///
/// Programs that this process starts can be read by their user as ever. They dump no core unless they raise the limit
/// themselves, which they may.
pub(crate) fn protect_process_memory() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })
}
