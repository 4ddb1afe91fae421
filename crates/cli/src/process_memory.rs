//! Protects the memory of this process from other processes of the same user and from core dumps.

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Restricts `/proc/PID/environ`, `/proc/PID/mem` and debuggers to root, and disables core dumps.
///
/// The memory of child processes remains readable by their user. They write no core dump unless they raise the limit
/// themselves, which they may.
pub(crate) fn protect_process_memory() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })
}
