//! `ChangeCounters`: counts the changes of a host's lists; `ListChanges`: waits for them.

use tokio::sync::watch;

use crate::connection::{ListKind, PerList};

/// Counts the changes of each list that no catalog contains yet. Resource templates count as resources, because
/// clients are notified of both alike.
#[derive(Debug, Default)]
pub(crate) struct ChangeCounters(PerList<watch::Sender<u64>>);

impl ChangeCounters {
    pub(super) fn get(&self, kind: ListKind) -> &watch::Sender<u64> {
        self.0.get(match kind {
            ListKind::ResourceTemplates => ListKind::Resources,
            kind => kind,
        })
    }

    /// Counts a change of every list.
    pub(super) fn count_all(&self) {
        for kind in [ListKind::Tools, ListKind::Prompts, ListKind::Resources] {
            self.get(kind).send_modify(|count| *count += 1);
        }
    }

    pub(crate) fn subscribe(&self) -> ListChanges {
        let receiver = |kind| self.get(kind).subscribe();
        ListChanges {
            tools: receiver(ListKind::Tools),
            prompts: receiver(ListKind::Prompts),
            resources: receiver(ListKind::Resources),
        }
    }
}

/// The changes of the lists of one host since this value was created.
#[derive(Debug, Clone)]
pub(crate) struct ListChanges {
    tools: watch::Receiver<u64>,
    prompts: watch::Receiver<u64>,
    resources: watch::Receiver<u64>,
}

impl ListChanges {
    /// Waits for the next change, and returns the list. Never returns after the host was dropped. Cancel safe.
    pub(crate) async fn next(&mut self) -> ListKind {
        tokio::select! {
            Ok(()) = self.tools.changed() => ListKind::Tools,
            Ok(()) = self.prompts.changed() => ListKind::Prompts,
            Ok(()) = self.resources.changed() => ListKind::Resources,
            else => std::future::pending().await,
        }
    }
}
