//! `TaskOwners`: the servers that run the tasks of one session (extension `io.modelcontextprotocol/tasks`).
//!
//! A server returns a task in place of the result of a call, and the client follows it by its id. The id alone selects
//! the server, so it is remembered for the session in which the call was made, and is unknown in every other one.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use moka::sync::Cache;

/// The maximum number of tasks of one session. A further one replaces another.
const MAX_TASKS: u64 = 4096;
/// The maximum length of an id, in bytes.
const MAX_ID_LEN: usize = 256;
/// The time after which a task is forgotten that its client no longer follows.
const IDLE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The owners of tasks by id. A server that has ended owns none.
///
/// The cache is created with the first task: an empty one takes 32 KiB, and most sessions have no tasks.
pub(crate) struct TaskOwners<T>(OnceLock<Cache<String, Weak<T>>>);

impl<T: Send + Sync + 'static> TaskOwners<T> {
    pub(crate) fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Records the owner of a task. Returns `false` if the id is too long, or belongs to another server: a server can
    /// take over no task of another one.
    pub(crate) fn insert(&self, id: &str, owner: &Arc<T>) -> bool {
        if id.len() > MAX_ID_LEN {
            return false;
        }
        let (owner, has_ended) = (Arc::downgrade(owner), |known: &Weak<T>| known.strong_count() == 0);
        let cache = self.0.get_or_init(new_cache);
        let entry = cache.entry_by_ref(id).or_insert_with_if(|| owner.clone(), has_ended);
        Weak::ptr_eq(entry.value(), &owner)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<T>> {
        self.0.get()?.get(id)?.upgrade()
    }
}

fn new_cache<T: Send + Sync + 'static>() -> Cache<String, Weak<T>> {
    Cache::builder().max_capacity(MAX_TASKS).time_to_idle(IDLE_LIFETIME).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_owner_is_kept_until_it_ends() {
        let (owners, first, second) = (TaskOwners::new(), Arc::new(1), Arc::new(2));
        assert!(owners.insert("a", &first) && owners.insert("a", &first));
        assert!(!owners.insert("a", &second), "it belongs to the first server");
        assert_eq!((owners.get("a"), owners.get("b")), (Some(Arc::clone(&first)), None));
        drop(first);
        assert_eq!(owners.get("a"), None);
        assert!(owners.insert("a", &second));
        assert_eq!(owners.get("a"), Some(second));
    }

    #[test]
    fn task_id_too_long_is_not_recorded() {
        let owner = Arc::new(());
        assert!(TaskOwners::new().insert(&"x".repeat(MAX_ID_LEN), &owner));
        assert!(!TaskOwners::new().insert(&"x".repeat(MAX_ID_LEN + 1), &owner));
    }
}
